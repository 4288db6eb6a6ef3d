using System.IO.Pipelines;
using Runtara.Quic.Native;

namespace Runtara.Quic;

/// <summary>What the endpoint's thread does with the chunks.</summary>
internal sealed unsafe partial class StreamOutput
{
    private const int OfferMax = 4096;

    public long Unacknowledged
    {
        get
        {
            lock (_lock)
                return _stopped || _over ? 0 : _written - _acknowledged;
        }
    }

    /// <summary>Whether the writer has done its part and the peer has not: bytes or FIN are under way.</summary>
    public bool IsUnderWay
    {
        get
        {
            lock (_lock)
                return _completed && !_stopped && !_over && !(_finSent && _acknowledged == _written);
        }
    }

    public bool HasWork
    {
        get
        {
            lock (_lock)
                return HasWorkLocked;
        }
    }

    private bool HasWorkLocked => !_stopped && !_over && (_sent < _flushed || (_completed && !_finSent));

    /// <summary>Points <paramref name="vectors"/> at unsent bytes, about two packets of them.</summary>
    public int Gather(Ngtcp2.Vec* vectors, int max, out long offered, out bool fin)
    {
        lock (_lock)
        {
            (offered, fin) = (0, false);
            if (_stopped || _over)
                return 0;
            var (count, at, chunk, offset) = (0, _sent, _next, _nextOffset);
            while (chunk is not null && count < max && offered < OfferMax && at < _flushed)
            {
                var skip = (int)(at - offset);
                var length = (int)Math.Min(chunk.Length - skip, _flushed - at);
                if (length > 0)
                {
                    vectors[count++] = new Ngtcp2.Vec { Base = chunk.Pointer + skip, Length = (nuint)length };
                    offered += length;
                    at += length;
                }
                offset += chunk.Length;
                chunk = chunk.Next;
            }
            fin = _completed && !_finSent && at == _flushed;
            return count;
        }
    }

    /// <summary>Returns whether there is more to send.</summary>
    public bool Sent(long bytes, bool fin)
    {
        lock (_lock)
        {
            _sent += bytes;
            _finSent |= fin;
            while (_next?.Next is { } after && _sent >= _nextOffset + _next.Length)
            {
                _nextOffset += _next.Length;
                _next = after;
            }
            return HasWorkLocked;
        }
    }

    public void Acknowledged(long upTo)
    {
        bool wake;
        lock (_lock)
        {
            _acknowledged = upTo;
            while (_head is { } head && _headOffset + head.Length <= upTo)
            {
                // The newest chunk is still being written to.
                if (head.Next is null && (_lent || upTo < _written))
                    break;
                _headOffset += head.Length;
                _head = head.Next;
                if (_next == head)
                    (_next, _nextOffset) = (_head, _headOffset);
                if (_tail == head)
                    _tail = null;
                head.Return();
            }
            wake = _waiting && _flushed - _headOffset <= UnacknowledgedMax / 2;
            _waiting &= !wake;
        }
        if (wake)
            Wake(new FlushResult(false, false));
    }

    /// <summary>The peer wants no more, or the stream was reset: the writer is told IsCompleted.</summary>
    public void Stopped()
    {
        bool wake;
        lock (_lock)
        {
            _stopped = true;
            wake = _waiting;
            _waiting = false;
        }
        if (wake)
            Wake(new FlushResult(false, true));
    }

    public void TransportIsDone()
    {
        Stopped();
        lock (_lock)
        {
            _over = true;
            FreeAll();
        }
    }

    /// <summary>The connection is lost. Chunks stay where they are: ngtcp2 may still point at them.</summary>
    public void Fail(QuicClose close)
    {
        bool wake;
        lock (_lock)
        {
            _lost ??= close;
            _stopped = true;
            wake = _waiting;
            _waiting = false;
        }
        if (wake)
        {
            _cancellation.Dispose();
            _flush.SetException(close.ToException());
        }
    }

    /// <summary>Lets go of what was never offered, once nothing more is: ngtcp2 does not point at it, and a peer that
    /// does not end its own side could keep it for ever.</summary>
    public void FreeUnsent()
    {
        lock (_lock)
        {
            if (!_stopped || _next is not { } last)
                return;
            for (var chunk = last.Next; chunk is not null;)
            {
                var after = chunk.Next;
                if (!(chunk == _tail && _lent))
                    chunk.Return();
                chunk = after;
            }
            (last.Next, _tail) = (null, last);
        }
    }

    /// <summary>The RESET_STREAM code to send, or -1.</summary>
    public long TakeReset()
    {
        lock (_lock)
        {
            var code = _resetCode;
            _resetCode = -1;
            return code;
        }
    }

    private void FreeAll()
    {
        while (_head is { } head)
        {
            _head = head.Next;
            // The application may still write into the memory it holds: leave that chunk to the collector.
            if (!(head == _tail && _lent))
                head.Return();
        }
        (_tail, _next) = (null, null);
    }
}
