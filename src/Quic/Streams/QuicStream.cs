using System.IO.Pipelines;

namespace Runtara.Quic;

/// <summary>
/// A bidirectional QUIC stream as two pipes. One reader and one writer at a time; both may be on any thread.
/// </summary>
public sealed class QuicStream : IDuplexPipe, IAsyncDisposable
{
    private const int InputDone = 1, OutputDone = 2, TransportDone = 4, AllDone = 7;

    private int _done;
    private int _queued;
    private volatile bool _isOver;
    private TaskCompletionSource? _over;

    internal QuicStream(QuicConnection connection, long id)
    {
        (Connection, Id) = (connection, id);
        Rx = new StreamInput(this);
        Tx = new StreamOutput(this);
    }

    /// <summary>The QUIC stream id.</summary>
    public long Id { get; }

    /// <summary>
    /// What the peer sends. It completes at FIN; reading throws <see cref="QuicStreamResetException"/> after a reset
    /// and <see cref="QuicException"/> when the connection is lost. Completing it before the end asks the peer to
    /// stop (STOP_SENDING, code 0). Bytes are acknowledged to flow control as they are consumed.
    /// </summary>
    public PipeReader Input => Rx;

    /// <summary>
    /// What this side sends. FlushAsync waits while more than 512 KiB are unacknowledged. Complete() sends FIN,
    /// Complete(exception) resets the stream with the exception's <see cref="QuicException.ErrorCode"/> or 0. After the
    /// peer's STOP_SENDING, FlushAsync answers IsCompleted and further bytes are dropped; when the connection is lost
    /// it throws <see cref="QuicException"/>.
    /// </summary>
    public PipeWriter Output => Tx;

    /// <summary>Completes when the transport is done with the stream: both directions have ended and the peer knows, or
    /// the connection is lost. Never faults.</summary>
    public Task Over
    {
        get
        {
            var over = Volatile.Read(ref _over);
            if (over is null)
            {
                var fresh = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                over = Interlocked.CompareExchange(ref _over, fresh, null) ?? fresh;
            }
            if (_isOver)
                over.TrySetResult();
            return over.Task;
        }
    }

    /// <summary>Bytes written that the peer has not acknowledged; 0 once it wants none or the stream is over.</summary>
    public long UnacknowledgedBytes => Tx.Unacknowledged;

    /// <summary>Whether the peer opened it.</summary>
    internal bool IsRemote => ((Id & 1) != 0) != Connection.IsServer;

    internal QuicConnection Connection { get; }
    internal StreamInput Rx { get; }
    internal StreamOutput Tx { get; }

    // Owned by the endpoint's thread.
    internal bool InSendQueue, Blocked, InBlockedQueue;

    /// <summary>Aborts both directions: RESET_STREAM and STOP_SENDING with this code. Queued bytes are lost.</summary>
    public void Abort(long errorCode)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(errorCode);
        Tx.Abort(errorCode);
        Rx.Abort(errorCode);
    }

    /// <summary>Completes both directions: FIN unless the output was completed before. Never throws.</summary>
    public ValueTask DisposeAsync()
    {
        Tx.Complete();
        Rx.Complete();
        return default;
    }

    internal void MarkDirty()
    {
        if (Interlocked.Exchange(ref _queued, 1) == 0)
            Connection.Endpoint.Enqueue(this);
    }

    internal void Unqueue() => Interlocked.Exchange(ref _queued, 0);

    internal void InputIsDone() => Done(InputDone);

    internal void OutputIsDone() => Done(OutputDone);

    /// <summary>ngtcp2 has forgotten the stream, or the connection is over.</summary>
    internal void TransportIsDone(long? resetCode)
    {
        Rx.TransportIsDone(resetCode);
        Tx.TransportIsDone();
        Done(TransportDone);
        End();
    }

    internal void ConnectionIsLost(QuicClose close)
    {
        Rx.Fail(close.ToException());
        Tx.Fail(close);
        End();
    }

    private void End()
    {
        _isOver = true;
        Interlocked.MemoryBarrier();
        _over?.TrySetResult();
    }

    // The peer gets its stream credit back only when transport and application are both done; otherwise a peer that
    // opens and resets streams in a loop could queue handlers without bound ("rapid reset").
    private void Done(int part)
    {
        var before = Interlocked.Or(ref _done, part);
        if (before != AllDone && (before | part) == AllDone)
            Connection.StreamIsOver(this);
    }
}
