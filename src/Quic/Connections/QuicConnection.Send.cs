using Runtara.Quic.Native;

namespace Runtara.Quic;

/// <summary>Streams, credit and packets out; on the endpoint's thread unless a comment says otherwise.</summary>
public sealed unsafe partial class QuicConnection
{
    private const int VectorsMax = 8, PacketMax = 1452, ProbesMax = 4;

    private readonly Dictionary<long, QuicStream> _streams = [];
    private readonly Queue<QuicStream> _sendQueue = new();
    private readonly Queue<QuicStream> _blocked = new();
    private readonly List<QuicStream> _lostStreams = [];
    private readonly int _creditBatch;
    private long _openedCount, _credit;
    private int _queued, _streamCredit;
    private bool _received, _connectionBlocked, _paced = true;
    private int _flushes;

    internal bool HasNothingToSend => _state == State.Active && _sendQueue.Count == 0;

    internal IEnumerable<QuicStream> StreamsUnderWay => _streams.Values.Where(s => s.Tx.IsUnderWay);

    internal void Unqueue() => Interlocked.Exchange(ref _queued, 0);

    /// <summary>Bytes consumed, on any thread; the peer is told with the next packets, at the latest after a quarter of
    /// the window.</summary>
    internal void AddCredit(long bytes)
    {
        if (bytes > 0 && Interlocked.Add(ref _credit, bytes) > Settings.ConnectionWindowBytes / 4)
            AskForFlush();
    }

    /// <summary>Transport and application are done with a stream, on any thread. Credit goes back in batches: one
    /// MAX_STREAMS frame for many streams.</summary>
    internal void StreamIsOver(QuicStream stream)
    {
        if (stream.IsRemote && Interlocked.Increment(ref _streamCredit) >= _creditBatch)
            AskForFlush();
    }

    /// <summary>Carries out what the application asked of a stream.</summary>
    internal void Serve(QuicStream stream)
    {
        if (_state != State.Active)
            return;
        if (stream.Id >> 2 >= _openedCount && ((stream.Id & 1) != 0) == IsServer)
            TakeOpened();
        if (!_streams.ContainsKey(stream.Id))
            return;
        var (credit, stopCode) = stream.Rx.TakeCommands();
        if (stopCode >= 0)
            Ngtcp2.ngtcp2_conn_shutdown_stream_read(_native, 0, stream.Id, (ulong)stopCode);
        else if (credit > 0)
            Ngtcp2.ngtcp2_conn_extend_max_stream_offset(_native, stream.Id, (ulong)credit);
        if (stream.Tx.TakeReset() is >= 0 and var resetCode)
        {
            Ngtcp2.ngtcp2_conn_shutdown_stream_write(_native, 0, stream.Id, (ulong)resetCode);
            stream.Tx.FreeUnsent();
        }
        if (stream.Tx.HasWork && !stream.Blocked)
            EnqueueSend(stream);
        Endpoint.MarkDirty(this);
    }

    internal void Flush(ulong now)
    {
        if (_state != State.Active)
            return;
        GiveCredit();
        if (_received)
            RetryBlocked();
        var burst = new Burst(Endpoint);
        var limited = false;
        var quantum = (int)Math.Min(
            (nuint)(Endpoint.BurstMax * PacketMax), Ngtcp2.ngtcp2_conn_get_send_quantum(_native));
        var size = (int)Ngtcp2.ngtcp2_conn_get_max_tx_udp_payload_size(_native);
        byte* local = stackalloc byte[32], remote = stackalloc byte[32];
        var path = new Ngtcp2.NetworkPath();
        path.Local.Pointer = local;
        path.Remote.Pointer = remote;
        while (true)
        {
            var length = WritePacket(burst.Tail, size, &path, now);
            if (length < 0)
            {
                burst.Send();
                Fail((int)length, now);
                return;
            }
            if (length == 0)
                break;
            burst.Add((int)length, size, path.Remote);
            if (burst.Total + size > quantum)
            {
                limited = true;
                break;
            }
        }
        burst.Send();
        Pace(now);
        if (limited && _sendQueue.Count > 0)
            Endpoint.MarkDirty(this);
    }

    /// <summary>Fills one packet from as many streams as fit. Returns its length, 0 when there is nothing to send or
    /// nothing may be sent now, or an error.</summary>
    private nint WritePacket(byte* destination, int size, Ngtcp2.NetworkPath* path, ulong now)
    {
        var vectors = stackalloc Ngtcp2.Vec[VectorsMax];
        while (true)
        {
            var (stream, count, offered, fin) = ((QuicStream?)null, 0, 0L, false);
            while (_sendQueue.TryPeek(out stream))
            {
                count = stream.Tx.Gather(vectors, VectorsMax, out offered, out fin);
                if (count > 0 || fin)
                    break;
                LeaveSendQueue(stream);
                stream = null;
            }
            var flags = stream is null ? 0 : Ngtcp2.WriteMore | (fin ? Ngtcp2.WriteFin : 0);
            nint accepted = -1;
            Ngtcp2.PacketInfo info;
            var length = Ngtcp2.ngtcp2_conn_writev_stream_versioned(
                _native, path, Ngtcp2.V1, &info, destination, (nuint)size, &accepted, flags, stream?.Id ?? -1, vectors,
                (nuint)count, now);
            if (stream is not null && accepted >= 0 && (length >= 0 || length == Ngtcp2.ErrWriteMore))
                Advance(stream, accepted, fin && accepted == offered);
            if (length >= 0)
                return length;
            switch ((int)length)
            {
                case Ngtcp2.ErrWriteMore:
                    break;
                case Ngtcp2.ErrStreamDataBlocked:
                    LeaveSendQueue(stream!);
                    Block(stream!);
                    break;
                case Ngtcp2.ErrStreamShutWr or Ngtcp2.ErrStreamNotFound:
                    LeaveSendQueue(stream!);
                    stream!.Tx.Stopped();
                    stream.Tx.FreeUnsent();
                    break;
                default:
                    return length;
            }
        }
    }

    // Round robin between streams, about one packet of each.
    private void Advance(QuicStream stream, nint bytes, bool fin)
    {
        _sendQueue.Dequeue();
        if (stream.Tx.Sent(bytes, fin))
            _sendQueue.Enqueue(stream);
        else
            stream.InSendQueue = false;
    }

    private void LeaveSendQueue(QuicStream stream)
    {
        _sendQueue.Dequeue();
        stream.InSendQueue = false;
    }

    private void EnqueueSend(QuicStream stream)
    {
        stream.Blocked = false;
        if (stream.InSendQueue)
            return;
        stream.InSendQueue = true;
        _sendQueue.Enqueue(stream);
    }

    private void Block(QuicStream stream)
    {
        stream.Blocked = true;
        _connectionBlocked |= Ngtcp2.ngtcp2_conn_get_max_data_left(_native) == 0;
        if (stream.InBlockedQueue)
            return;
        stream.InBlockedQueue = true;
        _blocked.Enqueue(stream);
    }

    // There is no callback for a wider connection window, nor for the peer's STOP_SENDING. After packets came in: with
    // a wider window every blocked stream tries again; otherwise a few do in turn, and learn that they were stopped.
    private void RetryBlocked()
    {
        _received = false;
        var tries = ProbesMax;
        if (_connectionBlocked && Ngtcp2.ngtcp2_conn_get_max_data_left(_native) > 0)
            (_connectionBlocked, tries) = (false, int.MaxValue);
        for (tries = Math.Min(tries, _blocked.Count); tries > 0; tries--)
        {
            var stream = _blocked.Dequeue();
            stream.InBlockedQueue = false;
            if (stream.Blocked)
                EnqueueSend(stream);
        }
    }

    private void GiveCredit()
    {
        var bytes = Interlocked.Exchange(ref _credit, 0);
        if (bytes > 0)
            Ngtcp2.ngtcp2_conn_extend_max_offset(_native, (ulong)bytes);
        if (Volatile.Read(ref _streamCredit) < _creditBatch)
            return;
        var streams = Interlocked.Exchange(ref _streamCredit, 0);
        if (streams > 0)
            Ngtcp2.ngtcp2_conn_extend_max_streams_bidi(_native, (nuint)streams);
    }

    // ngtcp2 ≥ 1.12 with CUBIC keeps the pacing rate of the cold handshake while a connection is limited by the
    // application, which RPC traffic always is. Below 1 ms there is nothing to pace: stop it for good.
    private void Pace(ulong now)
    {
        if (!_paced)
            return;
        Ngtcp2.ngtcp2_conn_update_pkt_tx_time(_native, now);
        if ((++_flushes & 31) != 0)
            return;
        Ngtcp2.ConnectionInfo info;
        Ngtcp2.ngtcp2_conn_get_conn_info_versioned(_native, Ngtcp2.V1, &info);
        _paced = info.SmoothedRtt >= Ngtcp2.Millisecond || info.MinRtt >= Ngtcp2.Millisecond / 2;
    }

    private void TakeOpened()
    {
        lock (_openLock)
        {
            while (_opened.TryPeek(out var stream))
            {
                long id;
                if (Ngtcp2.ngtcp2_conn_open_bidi_stream(_native, &id, null) != 0)
                    return;
                _opened.Dequeue();
                _openedCount++;
                _streams[id] = stream;
            }
        }
    }

    // What the application flushed just before it closed may not have been served yet.
    private void EnqueueEverything()
    {
        TakeOpened();
        foreach (var stream in _streams.Values)
        {
            if (stream.Tx.HasWork)
                EnqueueSend(stream);
        }
    }

    private void AskForFlush()
    {
        if (Interlocked.Exchange(ref _queued, 1) == 0)
            Endpoint.Enqueue(this);
    }
}
