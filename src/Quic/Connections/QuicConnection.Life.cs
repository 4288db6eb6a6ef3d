using System.Text;
using Runtara.Quic.Native;

namespace Runtara.Quic;

/// <summary>
/// Packets in, timers, and the end. Active → Closing (we said goodbye and repeat it on demand) or Draining (the peer
/// did, or nobody can be told) → Gone, three probe timeouts later. On the endpoint's thread.
/// </summary>
public sealed unsafe partial class QuicConnection
{
    private const int ReasonMax = 512, CloseSizeMax = 1452;
    private const uint TlsAlertBase = 0x100;

    private static long s_lastNumber;

    private State _state;
    private ulong _deadline;
    private byte[]? _closePacket;
    private int _closeHits;
    private bool _peerReset;

    private enum State
    {
        Active,
        Closing,
        Draining,
        Gone,
    }

    /// <summary>Tells connections apart whose timers are equal.</summary>
    internal long Number { get; } = Interlocked.Increment(ref s_lastNumber);

    internal bool IsDirty { get; set; }
    internal ulong ScheduledAt { get; set; } = ulong.MaxValue;
    internal bool IsGone => _state == State.Gone;

    internal ulong Expiry => _state switch
    {
        State.Active => Ngtcp2.ngtcp2_conn_get_expiry(_native),
        State.Gone => ulong.MaxValue,
        _ => _deadline,
    };

    internal void Read(Ngtcp2.NetworkPath* path, byte* packet, int length, ulong now)
    {
        if (_state == State.Closing)
            RepeatClose(path);
        if (_state != State.Active)
            return;
        Ngtcp2.PacketInfo info = default;
        var result = Ngtcp2.ngtcp2_conn_read_pkt_versioned(
            _native, path, Ngtcp2.V1, &info, packet, (nuint)length, now);
        switch (result)
        {
            case 0:
                _received = true;
                if (_handshakeCompleted && !_handshakeHandled)
                    OnHandshakeDone();
                break;
            case Ngtcp2.ErrDraining:
                Drain(now);
                break;
            case Ngtcp2.ErrRetry:
                Ngtcp2.PacketHeader header;
                if (Ngtcp2.ngtcp2_accept(&header, packet, (nuint)length) == 0)
                    Endpoint.SendRetry(&header, path, now);
                Vanish(new QuicClose(QuicCloseOrigin.Local, false, 0, "the client must prove its address first"));
                break;
            case Ngtcp2.ErrDropConn:
                Vanish(new QuicClose(QuicCloseOrigin.ProtocolError, false, 0, "the handshake cannot go on"));
                break;
            case Ngtcp2.ErrRecvVersionNegotiation:
                Vanish(new QuicClose(
                    QuicCloseOrigin.ProtocolError, false, 0, "the server does not speak QUIC version 1"));
                break;
            default:
                Fail(result, now);
                break;
        }
    }

    internal void Expire(ulong now)
    {
        if (_state is State.Closing or State.Draining)
            Endpoint.Remove(this);
        if (_state != State.Active)
            return;
        switch (Ngtcp2.ngtcp2_conn_handle_expiry(_native, now))
        {
            case 0:
                break;
            case Ngtcp2.ErrIdleClose:
                Vanish(new QuicClose(
                    QuicCloseOrigin.Timeout, false, 0, "nothing was heard for the idle timeout"));
                break;
            case Ngtcp2.ErrHandshakeTimeout:
                Vanish(new QuicClose(
                    QuicCloseOrigin.Timeout, false, 0,
                    $"no handshake with {RemoteEndPoint} in {Settings.HandshakeTimeout}"));
                break;
            case var error:
                Fail(error, now);
                break;
        }
    }

    internal void CloseNow(long code, string reason)
    {
        if (_state != State.Active)
            return;
        var now = Endpoint.Now();
        EnqueueEverything();
        Flush(now);
        if (_state != State.Active)
            return;
        var bytes = Encoding.UTF8.GetBytes(reason);
        fixed (byte* text = bytes)
        {
            Ngtcp2.CloseError error = default;
            Ngtcp2.ngtcp2_ccerr_set_application_error(
                &error, (ulong)code, text, (nuint)Math.Min(bytes.Length, ReasonMax));
            WriteClose(&error, Endpoint.Now(), new QuicClose(QuicCloseOrigin.Local, true, code, reason));
        }
    }

    /// <summary>Everybody who waits on this connection is told, once.</summary>
    internal void Lose(QuicClose close)
    {
        if (Closed.IsCompleted)
            return;
        EndHalfOpen();
        lock (_openLock)
        {
            _closed.TrySetResult(close);
            while (_opened.TryDequeue(out var stream))
                _lostStreams.Add(stream);
            while (_openWaiters.TryDequeue(out var waiter))
                waiter.TrySetResult();
        }
        _lostStreams.AddRange(_streams.Values);
        _streams.Clear();
        _sendQueue.Clear();
        _blocked.Clear();
        foreach (var stream in _lostStreams)
            stream.ConnectionIsLost(close);
        _acceptedStreams.Writer.TryComplete();
        if (_connected.TrySetException(close.ToException()))
            _ = _connected.Task.Exception;
    }

    // Repeated at the 1st, 2nd, 4th, 8th … packet, as RFC 9000 §10.2.1 asks.
    private void RepeatClose(Ngtcp2.NetworkPath* path)
    {
        if ((++_closeHits & (_closeHits - 1)) != 0 || _closePacket is null)
            return;
        fixed (byte* packet = _closePacket)
            Endpoint.Socket.Send(packet, _closePacket.Length, 0, path->Remote.Pointer, path->Remote.Length);
    }

    private void Drain(ulong now)
    {
        var error = Ngtcp2.ngtcp2_conn_get_ccerr(_native);
        var reason = error->ReasonLength > 0 ? Encoding.UTF8.GetString(error->Reason, (int)error->ReasonLength) : "";
        StartEnding(State.Draining, now, _peerReset
            ? new QuicClose(QuicCloseOrigin.PeerLost, false, 0, "the peer does not know this connection any more")
            : new QuicClose(
                QuicCloseOrigin.Peer, error->Type == Ngtcp2.CloseApplication, (long)error->Code,
                Explain(error, reason)));
    }

    private static string Explain(Ngtcp2.CloseError* error, string reason) =>
        reason.Length == 0 && error->Type != Ngtcp2.CloseApplication && error->Code is >= TlsAlertBase and < 0x200
            ? $"TLS alert {error->Code - TlsAlertBase}"
            : reason;

    private void Fail(int libraryError, ulong now)
    {
        Ngtcp2.CloseError error = default;
        var alert = Ngtcp2.ngtcp2_conn_get_tls_alert(_native);
        if (libraryError == Ngtcp2.ErrCrypto && alert != 0)
            Ngtcp2.ngtcp2_ccerr_set_tls_alert(&error, alert, null, 0);
        else
            Ngtcp2.ngtcp2_ccerr_set_liberr(&error, libraryError, null, 0);
        var text = Ngtcp2.Describe(libraryError) + (alert != 0 ? $", TLS alert {alert}" : "");
        WriteClose(&error, now, new QuicClose(QuicCloseOrigin.ProtocolError, false, (long)error.Code, text));
    }

    private void WriteClose(Ngtcp2.CloseError* error, ulong now, QuicClose close)
    {
        if (_state != State.Active)
            return;
        Ngtcp2.PacketInfo info;
        byte* local = stackalloc byte[32], remote = stackalloc byte[32];
        var path = new Ngtcp2.NetworkPath();
        path.Local.Pointer = local;
        path.Remote.Pointer = remote;
        var length = Ngtcp2.ngtcp2_conn_write_connection_close_versioned(
            _native, &path, Ngtcp2.V1, &info, Endpoint.SendBuffer, CloseSizeMax, error, now);
        if (length > 0)
        {
            _closePacket = new ReadOnlySpan<byte>(Endpoint.SendBuffer, (int)length).ToArray();
            Endpoint.Socket.Send(Endpoint.SendBuffer, (int)length, 0, path.Remote.Pointer, path.Remote.Length);
        }
        StartEnding(State.Closing, now, close);
    }

    private void StartEnding(State state, ulong now, QuicClose close)
    {
        _state = state;
        _deadline = now + 3 * Ngtcp2.ngtcp2_conn_get_pto(_native);
        Lose(close);
        Endpoint.Unschedule(this);
        Endpoint.Reschedule(this);
    }

    private void Vanish(QuicClose close)
    {
        Lose(close);
        _state = State.Draining;
        Endpoint.Remove(this);
    }
}
