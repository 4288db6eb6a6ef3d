using System.Net;
using Runtara.Protocol;
using Runtara.Protocol.Environments;
using Runtara.Quic;

namespace Runtara.Client;

/// <summary>The one QUIC connection of a client: made when first needed, made anew after it broke.</summary>
internal sealed class ServerConnection : IAsyncDisposable
{
    private readonly RuntaraClientOptions _options;
    private readonly ServerAddress _address;
    private readonly QuicTrust _trust;
    private readonly SemaphoreSlim _connecting = new(1, 1);
    private QuicConnection? _current;

    /// <exception cref="RuntaraConfigurationException">The options do not say enough.</exception>
    internal ServerConnection(RuntaraClientOptions options)
    {
        _options = options;
        _address = ServerAddress.Parse(options.Server);
        _trust = Trust(options);
    }

    /// <exception cref="RuntaraConnectionException">No address of the server answers.</exception>
    internal async Task<QuicConnection> GetAsync(CancellationToken ct)
    {
        await _connecting.WaitAsync(ct);
        try
        {
            if (_current is { Closed.IsCompleted: false } alive)
                return alive;
            return _current = await ConnectAsync(ct);
        }
        finally
        {
            _connecting.Release();
        }
    }

    /// <summary>Sends one request and reads its reply.</summary>
    /// <exception cref="IOException">The connection broke; the request may have been carried out.</exception>
    internal static async Task<RpcResponse> ExchangeAsync(
        QuicConnection connection, RpcRequest request, TimeProvider time, CancellationToken ct)
    {
        await using var stream = await connection.OpenStreamAsync(ct);
        FrameWriter.Write(stream.Output, FrameType.Request, request);
        await stream.Output.FlushAsync(ct);
        await stream.Output.CompleteAsync();
        return await ReadReplyAsync(stream, time, ct);
    }

    /// <exception cref="IOException">No whole reply came.</exception>
    internal static async Task<RpcResponse> ReadReplyAsync(QuicStream stream, TimeProvider time, CancellationToken ct)
    {
        var read = await FrameReader.ReadAsync(stream.Input, RpcResponse.Parser, FrameLimits.Default, time, ct);
        return read.IsComplete
            ? read.Message
            : throw new IOException($"The server's reply ended with {read.Outcome}: {read.Detail}.");
    }

    private async Task<QuicConnection> ConnectAsync(CancellationToken ct)
    {
        QuicException? failure = null;
        foreach (var remote in await _address.ResolveAsync(ct))
        {
            try
            {
                return await QuicConnection.ConnectAsync(ToQuic(remote), ct);
            }
            catch (QuicException refused)
            {
                failure = refused;
            }
        }

        throw new RuntaraConnectionException(
            $"No connection to {_options.Server}: {failure?.Message ?? "the name has no address"}",
            "Check that runtarad runs there, that UDP reaches that port, and that the certificate is the server's "
            + "(quic-cert.pem in its data directory).",
            failure);
    }

    private QuicClientOptions ToQuic(IPEndPoint remote) => new()
    {
        Remote = remote,
        ServerName = _options.ServerName ?? (_options.TrustSystemRoots ? _address.Host : "localhost"),
        Trust = _trust,
        ConnectTimeout = _options.ConnectTimeout,
        IdleTimeout = _options.RequestTimeout + _options.ReplyMargin,
        KeepAlive = TimeSpan.FromSeconds(10),
    };

    private static QuicTrust Trust(RuntaraClientOptions options)
    {
        try
        {
            return options switch
            {
                { PinnedCertificate: { } path } => QuicTrust.PinnedFile(path),
                { SkipCertificateVerification: true } => QuicTrust.AcceptAny,
                { TrustSystemRoots: true } => QuicTrust.System,
                _ => throw new RuntaraConfigurationException(
                    "Nothing says which server certificate to accept.",
                    "Copy quic-cert.pem from the server's data directory and name it in --cert or "
                    + "RUNTARA_SERVER_CERT; or, on a network that you trust, use --insecure or set "
                    + "RUNTARA_SKIP_CERT_VERIFICATION=true; for a certificate from a public authority, "
                    + "RUNTARA_SERVER_CERT=system."),
            };
        }
        catch (QuicException unreadable)
        {
            throw new RuntaraConfigurationException(
                unreadable.Message, "Name a PEM file with the server's certificate.", unreadable);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_current is { } connection)
            await connection.CloseAsync(0, "client closing");
        _connecting.Dispose();
    }
}
