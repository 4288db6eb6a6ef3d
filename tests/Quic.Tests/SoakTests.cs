namespace Runtara.Quic.Tests;

public sealed class SoakTests
{
    [Fact]
    public async Task Connections_come_and_go_while_calls_are_answered_aborted_and_abandoned()
    {
        await using var server = await Loopback.StartAsync();
        using var window = new CancellationTokenSource(TimeSpan.FromSeconds(3));
        var answered = 0;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(seed => Task.Run(async () =>
        {
            var random = new Random(seed);
            while (!window.IsCancellationRequested)
            {
                await using var client = await server.ConnectAsync();
                await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => MistreatAsync(client, random.Next())));
                Assert.Equal(Loopback.Bytes(300), await Loopback.CallAsync(client, Loopback.Bytes(300)));
                Interlocked.Increment(ref answered);
            }
        })));
        Assert.True(answered > 10);
    }

    private static async Task MistreatAsync(QuicConnection client, int dice)
    {
        await using var stream = await client.OpenStreamAsync();
        await stream.Output.WriteAsync(Loopback.Bytes(dice % 50_000));
        switch (dice % 5)
        {
            case 0:
                stream.Abort(dice % 100);
                break;
            case 1:
                await stream.Output.CompleteAsync(new QuicException("no more", 3));
                break;
            case 2:
                await stream.Input.CompleteAsync();
                break;
            case 3:
                stream.Output.GetMemory(100);
                stream.Abort(1);
                break;
            default:
                await stream.Output.CompleteAsync();
                await Loopback.ReadAllAsync(stream.Input).WaitAsync(Loopback.Patience);
                break;
        }
    }
}
