using System.Buffers;
using System.IO.Pipelines;
using System.Net;

namespace Runtara.Quic.Tests;

/// <summary>A real server on a free loopback port whose streams are handled by a function, and helpers to talk to it.
/// </summary>
internal sealed class Loopback : IAsyncDisposable
{
    private static readonly Lazy<QuicCertificate> s_certificate = new(
        () => QuicCertificate.LoadOrCreateSelfSigned(Directory.CreateTempSubdirectory("quic-tests-").FullName));

    private readonly Task _serving;

    private Loopback(QuicListener listener, Func<QuicStream, Task> handle)
    {
        Listener = listener;
        _serving = Serve(handle);
    }

    public static QuicCertificate Certificate => s_certificate.Value;

    public static TimeSpan Patience { get; } = TimeSpan.FromSeconds(20);

    public QuicListener Listener { get; }

    public List<QuicConnection> Accepted { get; } = [];

    public static async Task<Loopback> StartAsync(
        Func<QuicStream, Task>? handle = null, Func<QuicServerOptions, QuicServerOptions>? configure = null)
    {
        var options = new QuicServerOptions
        {
            Listen = new IPEndPoint(IPAddress.Loopback, 0), Certificate = Certificate,
        };
        return new Loopback(await QuicListener.ListenAsync(configure?.Invoke(options) ?? options), handle ?? EchoAsync);
    }

    public ValueTask<QuicConnection> ConnectAsync(Func<QuicClientOptions, QuicClientOptions>? configure = null) =>
        ConnectAsync(Listener.LocalEndPoint, configure);

    public static ValueTask<QuicConnection> ConnectAsync(
        IPEndPoint remote, Func<QuicClientOptions, QuicClientOptions>? configure = null)
    {
        var options = new QuicClientOptions { Remote = remote, Trust = QuicTrust.Pinned(Certificate.Sha256) };
        return QuicConnection.ConnectAsync(configure?.Invoke(options) ?? options);
    }

    public static async Task EchoAsync(QuicStream stream)
    {
        await stream.Input.CopyToAsync(stream.Output);
        await stream.Output.CompleteAsync();
    }

    /// <summary>Sends the bytes and FIN on a new stream, and returns all that comes back.</summary>
    public static async Task<byte[]> CallAsync(QuicConnection connection, byte[] request)
    {
        await using var stream = await connection.OpenStreamAsync().AsTask().WaitAsync(Patience);
        var sending = SendAsync(stream, request);
        var reply = await ReadAllAsync(stream.Input).WaitAsync(Patience);
        await sending;
        return reply;
    }

    public static async Task SendAsync(QuicStream stream, byte[] request)
    {
        await stream.Output.WriteAsync(request);
        await stream.Output.CompleteAsync();
    }

    public static async Task<byte[]> ReadAllAsync(PipeReader reader)
    {
        var all = new ArrayBufferWriter<byte>();
        while (true)
        {
            var result = await reader.ReadAsync();
            foreach (var segment in result.Buffer)
                all.Write(segment.Span);
            reader.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
                return all.WrittenSpan.ToArray();
        }
    }

    public static byte[] Bytes(int count)
    {
        var bytes = new byte[count];
        new Random(count).NextBytes(bytes);
        return bytes;
    }

    public async ValueTask DisposeAsync()
    {
        await Listener.DisposeAsync();
        await _serving.WaitAsync(Patience);
    }

    private async Task Serve(Func<QuicStream, Task> handle)
    {
        while (await Listener.AcceptAsync() is { } connection)
        {
            lock (Accepted)
                Accepted.Add(connection);
            _ = ServeConnection(connection, handle);
        }
    }

    private static async Task ServeConnection(QuicConnection connection, Func<QuicStream, Task> handle)
    {
        while (await connection.AcceptStreamAsync() is { } stream)
            _ = Task.Run(() => ServeStream(stream, handle));
    }

    private static async Task ServeStream(QuicStream stream, Func<QuicStream, Task> handle)
    {
        await using (stream)
        {
            try
            {
                await handle(stream);
            }
            catch (QuicException)
            {
                // Half of the tests break streams on purpose; what they look at is the other side.
            }
        }
    }
}
