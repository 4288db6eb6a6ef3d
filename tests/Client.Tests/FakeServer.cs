using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Security.Cryptography;
using Runtara.Protocol;
using Runtara.Protocol.Environments;
using Runtara.Quic;
using Request = Runtara.Protocol.Environments.RpcRequest.RequestOneofCase;

namespace Runtara.Client.Tests;

/// <summary>A server on a real QUIC port that answers as the test says.</summary>
internal sealed class FakeServer : IAsyncDisposable
{
    private readonly string _folder;
    private readonly QuicCertificate _certificate;
    private QuicListener _listener;

    private FakeServer(QuicCertificate certificate, string folder, QuicListener listener)
    {
        (_certificate, _folder, _listener) = (certificate, folder, listener);
        _ = AcceptAsync(listener);
    }

    internal IPEndPoint Address => _listener.LocalEndPoint;

    internal string CertificatePath => Path.Combine(_folder, QuicCertificate.CertificateFile);

    internal ConcurrentQueue<RpcRequest> Requests { get; } = new();

    /// <summary>The reply; null keeps the client waiting for ever.</summary>
    internal Func<RpcRequest, RpcResponse?> Answer { get; set; } = _ => new RpcResponse();

    /// <summary>Bytes of the last upload and their SHA-256, in hex.</summary>
    internal (long Bytes, string Sha256) Uploaded { get; private set; }

    /// <summary>Refuse an upload after its first frame, as a server does that dislikes the name.</summary>
    internal bool RefusesUploads { get; set; }

    internal static async Task<FakeServer> StartAsync()
    {
        var folder = Directory.CreateTempSubdirectory("runtara-client-").FullName;
        var certificate = QuicCertificate.LoadOrCreateSelfSigned(folder);
        return new FakeServer(certificate, folder, await ListenAsync(certificate, 0));
    }

    internal RuntaraClientOptions Options() => new()
    {
        Server = $"127.0.0.1:{Address.Port}",
        PinnedCertificate = CertificatePath,
        RequestTimeout = TimeSpan.FromSeconds(10),
    };

    internal Task<RuntaraClient> ConnectAsync() => RuntaraClient.ConnectAsync(Options());

    internal async Task RestartAsync()
    {
        var port = Address.Port;
        await _listener.CloseAsync(0, "server closing");
        _listener = await ListenAsync(_certificate, port);
        _ = AcceptAsync(_listener);
    }

    public async ValueTask DisposeAsync()
    {
        await _listener.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private static ValueTask<QuicListener> ListenAsync(QuicCertificate certificate, int port) =>
        QuicListener.ListenAsync(new QuicServerOptions
        {
            Listen = new IPEndPoint(IPAddress.Loopback, port),
            Certificate = certificate,
        });

    private async Task AcceptAsync(QuicListener listener)
    {
        while (await listener.AcceptAsync() is { } connection)
            _ = ServeAsync(connection);
    }

    private async Task ServeAsync(QuicConnection connection)
    {
        while (await connection.AcceptStreamAsync() is { } stream)
            _ = ServeAsync(stream);
    }

    private async Task ServeAsync(QuicStream stream)
    {
        var read = await FrameReader.ReadAsync(
            stream.Input, RpcRequest.Parser, FrameLimits.Default, TimeProvider.System, default);
        if (!read.IsComplete)
            return;
        Requests.Enqueue(read.Message);
        if (read.Message.RequestCase == Request.RegisterImageStream && !RefusesUploads)
            await ReceiveAsync(stream.Input);
        if (Answer(read.Message) is not { } reply)
            return;
        FrameWriter.Write(stream.Output, FrameType.Response, reply);
        await stream.DisposeAsync();
    }

    private async Task ReceiveAsync(PipeReader input)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long bytes = 0;
        while (true)
        {
            var result = await input.ReadAsync();
            foreach (var memory in result.Buffer)
                hash.AppendData(memory.Span);
            bytes += result.Buffer.Length;
            input.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
                break;
        }

        Uploaded = (bytes, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }
}
