using Runtara.Quic.Native;

namespace Runtara.Quic;

/// <summary>Packets of one flush, collected so that equal-sized ones to one address leave in one system call.</summary>
internal unsafe ref struct Burst(Endpoint endpoint)
{
    private readonly byte* _buffer = endpoint.SendBuffer;
    private int _length, _segment;
    private fixed byte _to[32];
    private uint _toLength;

    public int Total { get; private set; }

    /// <summary>Where the next packet goes.</summary>
    public readonly byte* Tail => _buffer + _length;

    public void Add(int length, int sizeMax, Ngtcp2.Address to)
    {
        Total += length;
        var same = _length > 0 && length <= _segment && IsTo(to);
        if (!same)
        {
            var packet = Tail;
            Send();
            Buffer.MemoryCopy(packet, _buffer, UdpSocket.DatagramMax, length);
            _segment = length;
            SetTo(to);
        }
        _length += length;
        // A shorter packet can only be the last of a segmented send.
        if (length < _segment || _length + sizeMax > UdpSocket.DatagramMax
            || _length / _segment >= UdpSocket.SegmentsMax)
            Send();
    }

    public void Send()
    {
        if (_length > 0)
        {
            fixed (byte* to = _to)
                endpoint.Socket.Send(_buffer, _length, _segment, to, _toLength);
        }
        _length = 0;
    }

    private bool IsTo(Ngtcp2.Address to)
    {
        fixed (byte* known = _to)
            return new ReadOnlySpan<byte>(known, (int)_toLength)
                .SequenceEqual(new ReadOnlySpan<byte>(to.Pointer, (int)to.Length));
    }

    private void SetTo(Ngtcp2.Address to)
    {
        _toLength = to.Length;
        for (var i = 0; i < to.Length; i++)
            _to[i] = to.Pointer[i];
    }
}
