using System.Net;

namespace Runtara.Quic;

/// <summary>A UDP port that accepts QUIC connections. Thread-safe.</summary>
public sealed class QuicListener : IAsyncDisposable
{
    private readonly Endpoint _endpoint;

    private QuicListener(Endpoint endpoint) => _endpoint = endpoint;

    /// <summary>The bound address, with the port that was chosen when 0 was asked for.</summary>
    public IPEndPoint LocalEndPoint => _endpoint.Local;

    /// <summary>Binds and starts to answer.</summary>
    /// <exception cref="QuicException">libngtcp2 is missing (the message names the package), the port is in use, or the
    /// certificate is not usable.</exception>
    public static ValueTask<QuicListener> ListenAsync(QuicServerOptions options, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ct.ThrowIfCancellationRequested();
        options.ToConnectionSettings().Validated();
        Alpn.Check(options.Alpn);
        ArgumentOutOfRangeException.ThrowIfNegative(options.RetryAboveHalfOpen);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxPendingHandshakes, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxConnections, 1);
        return new(new QuicListener(new Endpoint(options.Listen, options)));
    }

    /// <summary>The next connection whose handshake is complete; null once the listener is closed.</summary>
    /// <exception cref="QuicException">The listener has failed.</exception>
    public async ValueTask<QuicConnection?> AcceptAsync(CancellationToken ct = default)
    {
        while (await _endpoint.Accepted.Reader.WaitToReadAsync(ct))
        {
            if (_endpoint.Accepted.Reader.TryRead(out var connection))
                return connection;
        }
        return null;
    }

    /// <summary>From here on a new connection is refused with CONNECTION_REFUSED, and <see cref="AcceptAsync"/> answers
    /// null. Connections that were accepted go on.</summary>
    public void StopAccepting() => _endpoint.StopAccepting();

    /// <summary>Completes when the outputs that are completed by now have reached their peers, or cannot any
    /// more.</summary>
    public async ValueTask DeliverAsync(CancellationToken ct = default) => await _endpoint.DeliverAsync().WaitAsync(ct);

    /// <summary>Stops accepting, sends CONNECTION_CLOSE with this code and reason on every connection (after one last
    /// attempt to send what their streams have queued), and closes the socket at most 200 ms later.</summary>
    public async ValueTask CloseAsync(long errorCode, string reason, CancellationToken ct = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(errorCode);
        await _endpoint.CloseAsync(errorCode, reason).WaitAsync(ct);
    }

    /// <summary>Closes with code 0.</summary>
    public ValueTask DisposeAsync() => CloseAsync(0, "");
}

internal static class Alpn
{
    public static void Check(IReadOnlyList<string> protocols)
    {
        foreach (var protocol in protocols)
        {
            if (protocol.Length is 0 or > 255 || !protocol.All(char.IsAscii))
                throw new ArgumentException($"'{protocol}' is not an ALPN protocol: 1 to 255 ASCII characters.");
        }
    }
}
