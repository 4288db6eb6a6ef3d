using System.Diagnostics;
using System.Net;
using Runtara.Quic;

// Echo RPCs over loopback, one stream each: 200 bytes and FIN there, 50 bytes and FIN back. Client and server share
// this process and its cores.
var directory = Directory.CreateTempSubdirectory("quic-bench-").FullName;
var certificate = QuicCertificate.LoadOrCreateSelfSigned(directory);
await using var listener = await QuicListener.ListenAsync(
    new QuicServerOptions { Listen = new IPEndPoint(IPAddress.Loopback, 0), Certificate = certificate });
_ = Echo.ServeAsync(listener);
await using var connection = await QuicConnection.ConnectAsync(new QuicClientOptions
{
    Remote = listener.LocalEndPoint, Trust = QuicTrust.Pinned(certificate.Sha256),
});
var echo = new Echo(connection);
await echo.MeasureAsync("warm-up", 64, 100_000);
foreach (var inFlight in new[] { 1, 8, 64, 256 })
    await echo.MeasureAsync($"{inFlight,3} in flight", inFlight, inFlight == 1 ? 30_000 : 300_000);
await echo.BulkAsync();

internal sealed class Echo(QuicConnection connection)
{
    public async Task MeasureAsync(string name, int inFlight, int calls)
    {
        var request = new byte[200];
        var latencies = new long[calls];
        var next = -1;
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, inFlight).Select(_ => Task.Run(async () =>
        {
            while (Interlocked.Increment(ref next) is var i && i < calls)
            {
                var start = Stopwatch.GetTimestamp();
                await CallAsync(request);
                latencies[i] = Stopwatch.GetTimestamp() - start;
            }
        })));
        var seconds = watch.Elapsed.TotalSeconds;
        Array.Sort(latencies);
        Console.WriteLine($"{name}: {calls / seconds,9:N0} RPC/s, p50 {latencies[calls / 2] / 1000.0:N1} µs, "
            + $"p99 {latencies[calls * 99 / 100] / 1000.0:N1} µs");
    }

    private async Task CallAsync(byte[] request)
    {
        var stream = await connection.OpenStreamAsync();
        await stream.Output.WriteAsync(request);
        stream.Output.Complete();
        await DrainAsync(stream);
        await stream.DisposeAsync();
    }

    public async Task BulkAsync()
    {
        const int Size = 256 << 20;
        await using var stream = await connection.OpenStreamAsync();
        var watch = Stopwatch.StartNew();
        var block = new byte[65536];
        for (var sent = 0; sent < Size; sent += block.Length)
            await stream.Output.WriteAsync(block);
        stream.Output.Complete();
        await DrainAsync(stream);
        Console.WriteLine($"bulk upload: {Size / watch.Elapsed.TotalSeconds / 1e6:N0} MB/s");
    }

    private static async Task DrainAsync(QuicStream stream)
    {
        while (true)
        {
            var result = await stream.Input.ReadAsync();
            stream.Input.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
                return;
        }
    }

    public static async Task ServeAsync(QuicListener listener)
    {
        while (await listener.AcceptAsync() is { } connection)
        {
            _ = Task.Run(async () =>
            {
                while (await connection.AcceptStreamAsync() is { } stream)
                    ThreadPool.UnsafeQueueUserWorkItem(static s => _ = AnswerAsync(s), stream, preferLocal: false);
            });
        }
    }

    private static async Task AnswerAsync(QuicStream stream)
    {
        await DrainAsync(stream);
        await stream.Output.WriteAsync(new byte[50]);
        stream.Output.Complete();
        await stream.DisposeAsync();
    }
}
