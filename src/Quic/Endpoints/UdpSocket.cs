using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Runtara.Quic.Native;

namespace Runtara.Quic;

/// <summary>
/// A UDP socket with batched, coalesced receiving (recvmmsg, UDP_GRO) and segmented sending (UDP_SEGMENT). Used by one
/// thread.
/// </summary>
internal sealed unsafe class UdpSocket : IDisposable
{
    public const int SegmentsMax = 60, DatagramMax = 65_000;
    private const int Slots = 8, SlotSize = 65536, ControlSize = 64, NameSize = 32, BlockedMax = 256;

    private readonly Socket _socket;
    private readonly byte* _receive, _control, _names, _localAddress;
    private readonly Libc.MMsgHdr* _messages;
    private readonly Ngtcp2.Vec* _vectors;
    private readonly uint _localLength;
    private readonly Queue<(byte[] To, byte[] Data, int Segment)> _blocked = new();
    private bool _segmentation = true;

    public UdpSocket(IPEndPoint bind, int receiveBuffer, int sendBuffer)
    {
        try
        {
            // Throws where the system has no such family: IPv6 may be switched off.
            _socket = new Socket(bind.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { Blocking = false };
            // 0 would be the smallest that the kernel has, not its default.
            if (receiveBuffer > 0)
                _socket.ReceiveBufferSize = receiveBuffer;
            if (sendBuffer > 0)
                _socket.SendBufferSize = sendBuffer;
            _socket.Bind(bind);
        }
        catch (SocketException e)
        {
            _socket?.Dispose();
            throw new QuicException($"UDP {bind} cannot be bound: {e.Message}", 0, e);
        }
        Local = (IPEndPoint)_socket.LocalEndPoint!;
        Handle = (int)_socket.Handle;
        SetOption(Libc.SolUdp, Libc.UdpGro, 1);
        if (bind.AddressFamily == AddressFamily.InterNetwork)
            SetOption(Libc.SolIp, Libc.IpMtuDiscover, Libc.PmtuDiscoverProbe);
        else
            SetOption(Libc.SolIpv6, Libc.Ipv6MtuDiscover, Libc.PmtuDiscoverProbe);
        _receive = (byte*)NativeMemory.AlignedAlloc(Slots * SlotSize, 64);
        _control = (byte*)NativeMemory.AllocZeroed(Slots * ControlSize);
        _names = (byte*)NativeMemory.AllocZeroed(Slots * NameSize);
        _messages = (Libc.MMsgHdr*)NativeMemory.AllocZeroed((nuint)(Slots * sizeof(Libc.MMsgHdr)));
        _vectors = (Ngtcp2.Vec*)NativeMemory.AllocZeroed((nuint)(Slots * sizeof(Ngtcp2.Vec)));
        _localAddress = (byte*)NativeMemory.AllocZeroed(NameSize);
        _localLength = (uint)Libc.WriteAddress(Local, new Span<byte>(_localAddress, NameSize));
    }

    public delegate void PacketHandler(byte* packet, int length, Ngtcp2.NetworkPath* path);

    public IPEndPoint Local { get; }

    public int Handle { get; }

    public bool HasBlocked => _blocked.Count > 0;

    public Ngtcp2.Address LocalAddress => new() { Pointer = _localAddress, Length = _localLength };

    /// <summary>Hands one batch of datagrams over; returns whether more may be waiting.</summary>
    public bool Receive(PacketHandler handler)
    {
        for (var i = 0; i < Slots; i++)
        {
            _vectors[i] = new Ngtcp2.Vec { Base = _receive + i * SlotSize, Length = SlotSize };
            ref var header = ref _messages[i].Header;
            header.Name = _names + i * NameSize;
            header.NameLength = NameSize;
            header.Iov = _vectors + i;
            header.IovLength = 1;
            header.Control = _control + i * ControlSize;
            header.ControlLength = ControlSize;
            header.Flags = 0;
        }
        var count = Libc.recvmmsg(Handle, _messages, Slots, Libc.MsgDontWait, null);
        for (var i = 0; i < count; i++)
        {
            ref var header = ref _messages[i].Header;
            var length = (int)_messages[i].Length;
            var segment = SegmentOf(ref header) is > 0 and var s ? s : length;
            var path = new Ngtcp2.NetworkPath { Local = LocalAddress };
            path.Remote = new Ngtcp2.Address { Pointer = (byte*)header.Name, Length = header.NameLength };
            for (var offset = 0; offset < length; offset += segment)
                handler(_vectors[i].Base + offset, Math.Min(segment, length - offset), &path);
        }
        return count == Slots;
    }

    /// <summary>Sends a datagram, or several of <paramref name="segment"/> bytes. What the kernel cannot take now waits
    /// in a bounded queue; what it refuses counts as lost.</summary>
    public void Send(byte* data, int length, int segment, byte* to, uint toLength)
    {
        if (_blocked.Count == 0 || SendBlocked())
        {
            if (TrySend(data, length, segment, to, toLength))
                return;
        }
        if (_blocked.Count < BlockedMax)
            _blocked.Enqueue((
                new ReadOnlySpan<byte>(to, (int)toLength).ToArray(), new ReadOnlySpan<byte>(data, length).ToArray(),
                segment));
    }

    /// <summary>Returns whether nothing waits any more.</summary>
    public bool SendBlocked()
    {
        while (_blocked.TryPeek(out var waiting))
        {
            fixed (byte* to = waiting.To)
            fixed (byte* data = waiting.Data)
            {
                if (!TrySend(data, waiting.Data.Length, waiting.Segment, to, (uint)waiting.To.Length))
                    return false;
            }
            _blocked.Dequeue();
        }
        return true;
    }

    public void Dispose()
    {
        _socket.Dispose();
        NativeMemory.AlignedFree(_receive);
        foreach (var memory in new nint[]
                 { (nint)_control, (nint)_names, (nint)_messages, (nint)_vectors, (nint)_localAddress })
            NativeMemory.Free((void*)memory);
    }

    private static int SegmentOf(ref Libc.MsgHdr header)
    {
        var control = (byte*)header.Control;
        return header.ControlLength >= 20 && *(int*)(control + 8) == Libc.SolUdp && *(int*)(control + 12) == Libc.UdpGro
            ? *(int*)(control + 16)
            : 0;
    }

    private bool TrySend(byte* data, int length, int segment, byte* to, uint toLength)
    {
        if (segment <= 0 || length <= segment)
            return SendOne(data, length, 0, to, toLength) != Libc.Eagain;
        if (_segmentation)
        {
            var error = SendOne(data, length, segment, to, toLength);
            if (error is not (Libc.Eio or Libc.Einval))
                return error != Libc.Eagain;
            // A device without checksum offload refuses segmentation; from here on one call for each packet.
            _segmentation = false;
        }
        for (var offset = 0; offset < length; offset += segment)
            SendOne(data + offset, Math.Min(segment, length - offset), 0, to, toLength);
        return true;
    }

    private int SendOne(byte* data, int length, int segment, byte* to, uint toLength)
    {
        var vector = new Ngtcp2.Vec { Base = data, Length = (nuint)length };
        var message = new Libc.MsgHdr { Name = to, NameLength = toLength, Iov = &vector, IovLength = 1 };
        var control = stackalloc ulong[3];
        if (segment > 0)
        {
            control[0] = 18;
            ((int*)control)[2] = Libc.SolUdp;
            ((int*)control)[3] = Libc.UdpSegment;
            ((ushort*)control)[8] = (ushort)segment;
            message.Control = (byte*)control;
            message.ControlLength = 24;
        }
        while (Libc.sendmsg(Handle, &message, Libc.MsgDontWait) < 0)
        {
            var error = Marshal.GetLastPInvokeError();
            if (error != Libc.Eintr)
                return error;
        }
        return 0;
    }

    private void SetOption(int level, int name, int value) => Libc.setsockopt(Handle, level, name, &value, 4);
}
