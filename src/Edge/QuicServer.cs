using Microsoft.Extensions.Logging;
using Runtara.Protocol;
using Runtara.Quic;

namespace Runtara.Edge;

/// <summary>
/// Accepts connections and serves each of their streams in a task of its own. How many streams a peer may have open is
/// the transport's limit; a stream's credit comes back when its task is done. A server that stops answers what it has
/// begun, for a while.
/// </summary>
public abstract class QuicServer(
    QuicListener listener, string protocol, EdgeOptions options, FrameBudget frames, TimeProvider time, ILogger log)
    : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<Exception> _failed =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    private Task _accepting = Task.CompletedTask;
    private volatile bool _refusing;

    // The server itself counts as one, so that nothing is over before it stops.
    private int _underWay = 1;

    /// <summary>The limits of this server.</summary>
    protected EdgeOptions Options { get; } = options;

    /// <summary>The word for this protocol in log lines.</summary>
    protected string Protocol { get; } = protocol;

    /// <summary>The clock of everything that is served.</summary>
    protected TimeProvider Time { get; } = time;

    /// <summary>Where to log.</summary>
    protected ILogger Log { get; } = log;

    /// <summary>The listener that is served.</summary>
    public QuicListener Listener { get; } = listener;

    /// <summary>Completes when no connection is accepted any more though nobody stopped it, with the cause.</summary>
    public Task<Exception> Failed => _failed.Task;

    /// <summary>Begins to serve.</summary>
    public void Start()
    {
        Log.Listening(Protocol, Listener.LocalEndPoint);
        _accepting = AcceptAsync();
    }

    /// <summary>What is kept for each connection and given to each of its streams.</summary>
    protected virtual object? NewConnection() => null;

    /// <summary>
    /// Serves one stream. The stream is closed by the caller: FIN when this returns, RESET when it throws. A reply is
    /// only written here; that it arrives is the caller's care.
    /// </summary>
    protected abstract Task ServeAsync(
        QuicStream stream, FrameLimits limits, object? connection, CancellationToken cancellation);

    /// <summary>The next connection; null once the listener is closed.</summary>
    protected virtual ValueTask<QuicConnection?> NextConnectionAsync() => Listener.AcceptAsync();

    private async Task AcceptAsync()
    {
        try
        {
            while (await NextConnectionAsync() is { } connection)
                _ = ServeConnectionAsync(connection);
        }
        catch (Exception e)
        {
            Log.DoorFailed(e, Protocol);
            _failed.SetResult(e);
        }
    }

    private async Task ServeConnectionAsync(QuicConnection connection)
    {
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        var kept = NewConnection();
        var limits = Options.Frames with
        {
            StallBeforeFirstByte = true, Share = frames.NewShare(Options.ShareBytesMax),
        };
        try
        {
            while (await connection.AcceptStreamAsync(gone.Token) is { } stream)
            {
                if (_refusing)
                    await RefuseAsync(stream);
                else
                    _ = ServeStreamAsync(stream, limits, kept, gone.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
        await gone.CancelAsync();
        await connection.DisposeAsync();
    }

    private static ValueTask RefuseAsync(QuicStream stream)
    {
        stream.Abort(0);
        return stream.DisposeAsync();
    }

    private async Task ServeStreamAsync(
        QuicStream stream, FrameLimits limits, object? connection, CancellationToken cancellation)
    {
        Interlocked.Increment(ref _underWay);
        try
        {
            await ServeAsync(stream, limits, connection, cancellation);
        }
        catch (OperationCanceledException)
        {
            stream.Abort(0);
        }
        catch (IOException e)
        {
            Log.StreamBroke(Protocol, e.Message);
        }
        catch (Exception e)
        {
            Log.RequestFailed(e, Protocol);
            stream.Abort(0);
        }
        finally
        {
            await stream.DisposeAsync();
            await DeliverAsync(stream, limits, cancellation);
            Leave();
        }
    }

    // What the transport keeps of small replies is bounded by the number of streams; a large one is for its reader to
    // take, as fast as frames must come.
    private async ValueTask DeliverAsync(QuicStream stream, FrameLimits limits, CancellationToken cancellation)
    {
        var bytes = stream.UnacknowledgedBytes;
        if (bytes <= FrameBudget.FreeBytes)
            return;
        var since = Time.GetTimestamp();
        for (var left = bytes; left > 0;)
        {
            var over = stream.Over;
            await over.WaitAsync(limits.StallTimeout, Time, cancellation)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (over.IsCompleted || cancellation.IsCancellationRequested)
                return;
            var before = left;
            left = stream.UnacknowledgedBytes;
            if (left < before && Time.GetElapsedTime(since) < limits.WholeWithin(bytes))
                continue;
            Log.ReplyDropped(Protocol);
            stream.Abort(0);
            return;
        }
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _underWay) == 0)
            _answered.TrySetResult();
    }

    /// <summary>
    /// Accepts nothing new, waits for the requests under way and the way of their replies as long as the grace allows,
    /// cancels what is left of them, and tells every peer.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        _refusing = true;
        Listener.StopAccepting();
        Leave();
        await AnsweredAsync().WaitAsync(Options.StopGrace, Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _stopping.CancelAsync();
        await Listener.CloseAsync(0, "server closing");
        await Listener.DisposeAsync();
        await _accepting;
        _stopping.Dispose();
        GC.SuppressFinalize(this);
    }

    private async Task AnsweredAsync()
    {
        await _answered.Task;
        await Listener.DeliverAsync();
    }
}
