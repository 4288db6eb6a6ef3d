using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Runtara.Quic.Native;

namespace Runtara.Quic;

/// <summary>A QUIC connection of either role. Thread-safe.</summary>
public sealed partial class QuicConnection : IAsyncDisposable
{
    private static readonly Lock s_clients = new();
    private static Endpoint? s_client4, s_client6;

    private readonly Channel<QuicStream> _acceptedStreams = Channel.CreateUnbounded<QuicStream>();
    private readonly TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<QuicClose> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Under _openLock.
    private readonly Lock _openLock = new();
    private readonly Queue<TaskCompletionSource> _openWaiters = new();
    private readonly Queue<QuicStream> _opened = new();
    private long _openLimit, _openCount;

    /// <summary>The peer's address when the connection was made; a client may move later.</summary>
    public IPEndPoint RemoteEndPoint { get; }

    /// <summary>The selected protocol; null when the client offered none.</summary>
    public string? Alpn { get; private set; }

    /// <summary>Completes when the connection is over; never faults.</summary>
    public Task<QuicClose> Closed => _closed.Task;

    /// <summary>Connects; all clients of the process share one socket for each address family.</summary>
    /// <exception cref="QuicException">The server cannot be reached in time or refuses, its certificate is refused, or
    /// libngtcp2 is missing.</exception>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; nothing is left of the connection.</exception>
    public static async ValueTask<QuicConnection> ConnectAsync(
        QuicClientOptions options, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ct.ThrowIfCancellationRequested();
        NativeLoader.Require();
        options.ToConnectionSettings().Validated();
        Quic.Alpn.Check(options.Alpn);
        var endpoint = ClientEndpoint(options.Remote.AddressFamily);
        var created = new TaskCompletionSource<QuicConnection>(TaskCreationOptions.RunContinuationsAsynchronously);
        var running = endpoint.Post(() =>
        {
            try
            {
                created.SetResult(CreateClient(endpoint, options, Quic.Endpoint.Now()));
            }
            catch (Exception e)
            {
                created.SetException(e);
            }
        });
        if (!running)
            throw new QuicException("The client endpoint has failed; the next attempt gets a new one.");
        var connection = await created.Task;
        try
        {
            await connection._connected.Task.WaitAsync(ct);
        }
        catch (OperationCanceledException)
        {
            _ = connection.CloseAsync(0, "", CancellationToken.None).AsTask();
            throw;
        }
        return connection;
    }

    /// <summary>Opens a stream; waits while the peer allows no more. The peer sees it with the first flush.</summary>
    /// <exception cref="QuicException">The connection is over.</exception>
    public ValueTask<QuicStream> OpenStreamAsync(CancellationToken ct = default)
    {
        return TryOpen(out var waiter) is { } stream ? new(stream) : Wait(waiter!);

        async ValueTask<QuicStream> Wait(TaskCompletionSource granted)
        {
            while (true)
            {
                try
                {
                    await granted.Task.WaitAsync(ct);
                }
                catch (OperationCanceledException)
                {
                    // The permit may have arrived at the same time: it is somebody else's now.
                    if (!granted.TrySetCanceled(ct))
                        GrantStreams(0);
                    throw;
                }
                if (TryOpen(out var next) is { } stream)
                    return stream;
                granted = next!;
            }
        }
    }

    /// <summary>The next stream that the peer opened; null when the connection is over.</summary>
    public async ValueTask<QuicStream?> AcceptStreamAsync(CancellationToken ct = default)
    {
        while (await _acceptedStreams.Reader.WaitToReadAsync(ct))
        {
            if (_acceptedStreams.Reader.TryRead(out var stream))
                return stream;
        }
        return null;
    }

    /// <summary>Tries once to send what the streams have queued, then closes with an application code and a reason that
    /// the peer sees. Data not yet acknowledged may be lost. Closing twice is harmless.</summary>
    public async ValueTask CloseAsync(long errorCode = 0, string reason = "", CancellationToken ct = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(errorCode);
        if (!Closed.IsCompleted && Endpoint.Post(() => CloseNow(errorCode, reason)))
            await Closed.WaitAsync(ct);
    }

    /// <summary>Closes with code 0.</summary>
    public ValueTask DisposeAsync() => CloseAsync();

    private static Endpoint ClientEndpoint(AddressFamily family)
    {
        lock (s_clients)
        {
            ref var endpoint = ref family == AddressFamily.InterNetwork ? ref s_client4 : ref s_client6;
            if (endpoint is null || endpoint.Stopped.IsCompleted)
                endpoint = new Endpoint(
                    new IPEndPoint(family == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0), null);
            return endpoint;
        }
    }

    // Ids are given here and not by ngtcp2, so that opening needs no trip to the endpoint's thread; that thread opens
    // the streams in the same order.
    private QuicStream? TryOpen(out TaskCompletionSource? waiter)
    {
        lock (_openLock)
        {
            waiter = null;
            if (Closed.IsCompleted)
                throw Closed.Result.ToException();
            if (_openCount < _openLimit)
            {
                var stream = new QuicStream(this, (_openCount++ << 2) | (IsServer ? 1L : 0L));
                _opened.Enqueue(stream);
                return stream;
            }
            waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _openWaiters.Enqueue(waiter);
            return null;
        }
    }

    private void GrantStreams(long limit)
    {
        lock (_openLock)
        {
            _openLimit = Math.Max(_openLimit, limit);
            for (var free = _openLimit - _openCount; free > 0 && _openWaiters.TryDequeue(out var waiter);)
            {
                if (waiter.TrySetResult())
                    free--;
            }
        }
    }
}
