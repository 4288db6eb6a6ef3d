using Microsoft.Extensions.Logging;
using Runtara.Quic;

namespace Runtara.Edge;

/// <summary>
/// Accepts connections and serves each of their streams in a task of its own. How many streams a peer may have open is
/// the transport's limit; a stream's credit comes back when its task is done.
/// </summary>
public abstract class QuicServer(QuicListener listener, string protocol, ILogger log) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private Task _accepting = Task.CompletedTask;

    /// <summary>The word for this protocol in log lines.</summary>
    protected string Protocol { get; } = protocol;

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
                _ = ServeStreamAsync(stream, kept, gone.Token);
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
        await gone.CancelAsync();
        await connection.DisposeAsync();
    }

    private async Task ServeStreamAsync(QuicStream stream, object? connection, CancellationToken cancellation)
    {
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
        }
    }

    /// <summary>Stops accepting, cancels the requests under way, and tells every peer.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await Listener.CloseAsync(0, "server closing");
        await Listener.DisposeAsync();
        await _accepting;
        _stopping.Dispose();
        GC.SuppressFinalize(this);
    }
}
