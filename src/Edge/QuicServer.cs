using Microsoft.Extensions.Logging;
using Runtara.Quic;

namespace Runtara.Edge;

/// <summary>
/// Accepts connections and serves each of their streams in a task of its own. How many streams a peer may have open is
/// the transport's limit; a stream's credit comes back when its task is done. A server that stops answers what it has
/// begun, for a while.
/// </summary>
public abstract class QuicServer(
    QuicListener listener, string protocol, TimeSpan stopGrace, TimeProvider time, ILogger log) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _accepting = Task.CompletedTask;
    private volatile bool _refusing;

    // The server itself counts as one, so that nothing is over before it stops.
    private int _underWay = 1;

    /// <summary>The word for this protocol in log lines.</summary>
    protected string Protocol { get; } = protocol;

    /// <summary>The clock of everything that is served.</summary>
    protected TimeProvider Time { get; } = time;

    /// <summary>Where to log.</summary>
    protected ILogger Log { get; } = log;

    /// <summary>The listener that is served.</summary>
    public QuicListener Listener { get; } = listener;

    /// <summary>Begins to serve.</summary>
    public void Start()
    {
        Log.Listening(Protocol, Listener.LocalEndPoint);
        _accepting = AcceptAsync();
    }

    /// <summary>What is kept for each connection and given to each of its streams.</summary>
    protected virtual object? NewConnection() => null;

    /// <summary>
    /// Serves one stream. The stream is closed by the caller: FIN when this returns, RESET when it throws.
    /// </summary>
    protected abstract Task ServeAsync(QuicStream stream, object? connection, CancellationToken cancellation);

    private async Task AcceptAsync()
    {
        while (await Listener.AcceptAsync() is { } connection)
            _ = ServeConnectionAsync(connection);
    }

    private async Task ServeConnectionAsync(QuicConnection connection)
    {
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        var kept = NewConnection();
        try
        {
            while (await connection.AcceptStreamAsync(gone.Token) is { } stream)
            {
                if (_refusing)
                    await RefuseAsync(stream);
                else
                    _ = ServeStreamAsync(stream, kept, gone.Token);
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

    private async Task ServeStreamAsync(QuicStream stream, object? connection, CancellationToken cancellation)
    {
        Interlocked.Increment(ref _underWay);
        try
        {
            await ServeAsync(stream, connection, cancellation);
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
            Leave();
        }
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _underWay) == 0)
            _answered.TrySetResult();
    }

    /// <summary>
    /// Accepts nothing new, waits for the requests under way as long as the grace allows, cancels what is left of them,
    /// and tells every peer.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        _refusing = true;
        Listener.StopAccepting();
        Leave();
        await ((Task)_answered.Task.WaitAsync(stopGrace, Time)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _stopping.CancelAsync();
        await Listener.CloseAsync(0, "server closing");
        await Listener.DisposeAsync();
        await _accepting;
        _stopping.Dispose();
        GC.SuppressFinalize(this);
    }
}
