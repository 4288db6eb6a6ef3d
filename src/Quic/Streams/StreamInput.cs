using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Runtara.Quic;

/// <summary>
/// The receiving side: the endpoint's thread writes into a pooled pipe, which cannot overflow because the peer is held
/// to the stream's window, and the window moves only as the reader consumes.
/// </summary>
internal sealed class StreamInput(QuicStream stream) : PipeReader
{
    private const int PipesKept = 1024;

    private static readonly PipeOptions s_options = new(
        pauseWriterThreshold: 0, resumeWriterThreshold: 0, useSynchronizationContext: false);

    private static readonly ConcurrentStack<Pipe> s_pipes = new();

    private readonly Lock _lock = new();
    private readonly Pipe _pipe = s_pipes.TryPop(out var pipe) ? pipe : new Pipe(s_options);

    // Written by the reader alone.
    private ReadOnlySequence<byte> _last;
    private bool _reading;

    // Under the lock.
    private bool _ended, _finished, _readerDone, _isWide = !stream.IsRemote;
    private long _buffered, _credit, _stopCode = -1;

    public override bool TryRead(out ReadResult result)
    {
        ThrowIfDone();
        if (!_pipe.Reader.TryRead(out result))
            return false;
        _last = result.Buffer;
        return true;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        lock (_lock)
        {
            ThrowIfDone();
            _reading = true;
        }
        try
        {
            var result = await _pipe.Reader.ReadAsync(cancellationToken);
            _last = result.Buffer;
            return result;
        }
        finally
        {
            _reading = false;
        }
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        // Disposing under a reader ends its read; what it then hands back belongs to another stream by now.
        if (_readerDone)
            return;
        var bytes = _last.Slice(0, consumed).Length;
        _last = default;
        _pipe.Reader.AdvanceTo(consumed, examined);
        if (bytes == 0)
            return;
        var kick = false;
        lock (_lock)
        {
            _buffered -= bytes;
            if (!_ended)
            {
                _credit += bytes;
                kick = _credit > Widened(stream.Connection.Settings) / 4;
            }
        }
        stream.Connection.AddCredit(bytes);
        if (kick)
            stream.MarkDirty();
    }

    public override void CancelPendingRead() => _pipe.Reader.CancelPendingRead();

    public override void Complete(Exception? exception = null)
    {
        long unread;
        bool stop, recycle;
        lock (_lock)
        {
            if (_readerDone)
                return;
            _readerDone = true;
            (unread, _buffered) = (_buffered, 0);
            stop = !_ended;
            if (stop)
                _stopCode = (exception as QuicException)?.ErrorCode ?? 0;
            if (_reading)
                _pipe.Reader.CancelPendingRead();
            else
                _pipe.Reader.Complete();
            if (stop)
                _pipe.Writer.Complete();
            _ended = true;
            recycle = !_reading;
        }
        if (recycle && s_pipes.Count < PipesKept)
        {
            _pipe.Reset();
            s_pipes.Push(_pipe);
        }
        stream.Connection.AddCredit(unread);
        if (stop)
            stream.MarkDirty();
        stream.InputIsDone();
    }

    public void Abort(long code)
    {
        lock (_lock)
        {
            if (_ended)
                return;
            _stopCode = code;
            EndWith(new QuicStreamResetException(code, $"The stream was aborted on this side with code {code}."));
        }
        stream.MarkDirty();
    }

    /// <summary>Bytes in order, on the endpoint's thread.</summary>
    public void Received(ReadOnlySpan<byte> data, bool fin)
    {
        lock (_lock)
        {
            _finished |= fin;
            if (!_ended)
            {
                _buffered += data.Length;
                _pipe.Writer.Write(data);
                if (fin)
                    EndWith(null);
                else
                    _ = _pipe.Writer.FlushAsync(CancellationToken.None).IsCompleted;
                return;
            }
        }
        stream.Connection.AddCredit(data.Length);
    }

    public void Fail(Exception exception)
    {
        lock (_lock)
        {
            if (!_ended)
                EndWith(exception);
        }
    }

    public void TransportIsDone(long? resetCode) => Fail(new QuicStreamResetException(resetCode ?? 0));

    /// <summary>What the endpoint has to tell the peer: window to add, and a STOP_SENDING code or -1.</summary>
    public (long Credit, long StopCode) TakeCommands()
    {
        lock (_lock)
        {
            var commands = (_ended ? 0 : _credit, _finished ? -1 : _stopCode);
            (_credit, _stopCode) = (0, -1);
            return commands;
        }
    }

    // Who reads gets the whole window, with the first credit that is worth a frame.
    private int Widened(ConnectionSettings settings)
    {
        if (_isWide)
            return settings.StreamWindowBytes;
        if (_credit <= settings.UnreadStreamBytes / 4)
            return settings.UnreadStreamBytes;
        _isWide = true;
        _credit += settings.StreamWindowBytes - settings.UnreadStreamBytes;
        return 0;
    }

    private void EndWith(Exception? exception)
    {
        _ended = true;
        _pipe.Writer.Complete(exception);
    }

    private void ThrowIfDone()
    {
        if (_readerDone)
            throw new InvalidOperationException("Reading is not allowed after the reader was completed.");
    }
}
