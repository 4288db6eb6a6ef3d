using System.IO.Pipelines;
using System.Threading.Tasks.Sources;

namespace Runtara.Quic;

/// <summary>
/// The sending side: a list of pinned chunks, from the oldest unacknowledged byte to the newest written one. Offsets
/// are of the stream: acknowledged ≤ sent ≤ flushed ≤ written.
/// </summary>
internal sealed partial class StreamOutput(QuicStream stream) : PipeWriter, IValueTaskSource<FlushResult>
{
    /// <summary>FlushAsync waits above this many unacknowledged bytes, until half of them are acknowledged.</summary>
    public const int UnacknowledgedMax = 512 * 1024;

    private readonly Lock _lock = new();
    private Chunk? _head, _tail, _next;
    private long _headOffset, _nextOffset, _acknowledged, _sent, _flushed, _written;
    private bool _lent, _completed, _finSent, _stopped, _over, _waiting;
    private long _resetCode = -1;
    private QuicClose? _lost;
    private byte[]? _dropped;
    private ManualResetValueTaskSourceCore<FlushResult> _flush = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _cancellation;
    private bool _cancelNext;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _written - _flushed;

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sizeHint);
        lock (_lock)
        {
            if (_completed)
                throw new InvalidOperationException("Writing is not allowed after the writer was completed.");
            var size = Math.Max(sizeHint, 1);
            if (_stopped)
                return _dropped?.Length >= size ? _dropped : _dropped = new byte[Math.Max(size, Chunk.Small)];
            if (_tail is null || _tail.Free < size)
                Append(Chunk.Rent(Math.Max(size, _written - _headOffset >= Chunk.Small ? Chunk.Large : 1)));
            _lent = true;
            return _tail!.Array.AsMemory(_tail.Length);
        }
    }

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override void Advance(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        lock (_lock)
        {
            if (_stopped)
                return;
            // Advancing by nothing needs no memory: Protobuf does so before it asks for any.
            if (bytes == 0)
            {
                _lent = false;
                return;
            }
            if (!_lent || bytes > _tail!.Free)
                throw new InvalidOperationException("Cannot advance past the memory that was handed out.");
            _lent = false;
            _tail.Length += bytes;
            _written += bytes;
        }
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<FlushResult>(cancellationToken);
        bool fresh;
        short version = -1;
        lock (_lock)
        {
            if (_lost is { } close)
                return ValueTask.FromException<FlushResult>(close.ToException());
            if (_completed)
                throw new InvalidOperationException("Flushing is not allowed after the writer was completed.");
            if (_stopped)
                return new(new FlushResult(false, true));
            if (_waiting)
                throw new InvalidOperationException("A flush is already pending.");
            fresh = _written > _flushed;
            _flushed = _written;
            if (_cancelNext)
                _cancelNext = false;
            else if (_flushed - _headOffset > UnacknowledgedMax)
            {
                _waiting = true;
                _flush.Reset();
                version = _flush.Version;
            }
        }
        if (fresh)
            stream.MarkDirty();
        if (version < 0)
            return new(new FlushResult(false, false));
        if (cancellationToken.CanBeCanceled)
            WatchCancellation(cancellationToken);
        return new(this, version);
    }

    public override void CancelPendingFlush()
    {
        lock (_lock)
        {
            if (!_waiting)
            {
                _cancelNext = true;
                return;
            }
            _waiting = false;
        }
        _cancellation.Dispose();
        _flush.SetResult(new FlushResult(true, false));
    }

    public override void Complete(Exception? exception = null)
    {
        bool wake;
        lock (_lock)
        {
            if (_completed)
                return;
            _completed = true;
            _lent = false;
            _flushed = _written;
            wake = _waiting;
            _waiting = false;
            if (exception is not null && !_stopped)
            {
                _resetCode = (exception as QuicException)?.ErrorCode ?? 0;
                _stopped = true;
            }
            if (_over)
                FreeAll();
        }
        if (wake)
            Wake(new FlushResult(false, true));
        stream.MarkDirty();
        stream.OutputIsDone();
    }

    public void Abort(long code)
    {
        lock (_lock)
        {
            if (_stopped || (_completed && _finSent && _head is null))
                return;
            (_stopped, _resetCode) = (true, code);
        }
        Stopped();
        stream.MarkDirty();
    }

    ValueTaskSourceStatus IValueTaskSource<FlushResult>.GetStatus(short token) => _flush.GetStatus(token);

    void IValueTaskSource<FlushResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _flush.OnCompleted(continuation, state, token, flags);

    FlushResult IValueTaskSource<FlushResult>.GetResult(short token) => _flush.GetResult(token);

    private void Append(Chunk chunk)
    {
        if (_tail is null)
            (_head, _next, _headOffset, _nextOffset) = (chunk, chunk, _written, _written);
        else
            _tail.Next = chunk;
        _tail = chunk;
    }

    private void WatchCancellation(CancellationToken cancellationToken)
    {
        var registration = cancellationToken.UnsafeRegister(
            static (self, token) => ((StreamOutput)self!).CancelFlush(token), this);
        bool stillWaiting;
        lock (_lock)
        {
            stillWaiting = _waiting;
            if (stillWaiting)
                _cancellation = registration;
        }
        if (!stillWaiting)
            registration.Dispose();
    }

    private void CancelFlush(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (!_waiting)
                return;
            _waiting = false;
        }
        _flush.SetException(new OperationCanceledException(cancellationToken));
    }

    private void Wake(FlushResult result)
    {
        _cancellation.Dispose();
        _flush.SetResult(result);
    }
}
