namespace Runtara.Quic.Tests;

public sealed class EchoTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(200)]
    [InlineData(65_536)]
    [InlineData(3_000_000)]
    public async Task What_is_sent_comes_back(int size)
    {
        await using var server = await Loopback.StartAsync();
        await using var client = await server.ConnectAsync();
        var request = Loopback.Bytes(size);
        Assert.Equal(request, await Loopback.CallAsync(client, request));
    }

    [Fact]
    public async Task Five_thousand_streams_share_a_connection_64_at_a_time()
    {
        await using var server = await Loopback.StartAsync();
        await using var client = await server.ConnectAsync();
        var request = Loopback.Bytes(200);
        var left = 5000;
        await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => Task.Run(async () =>
        {
            while (Interlocked.Decrement(ref left) >= 0)
                Assert.Equal(request, await Loopback.CallAsync(client, request));
        })));
    }

    [Fact]
    public async Task Two_hundred_connections_are_served_at_once()
    {
        await using var server = await Loopback.StartAsync();
        var clients = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => server.ConnectAsync().AsTask()));
        var replies = await Task.WhenAll(clients.Select(c => Loopback.CallAsync(c, Loopback.Bytes(1000))));
        Assert.All(replies, r => Assert.Equal(Loopback.Bytes(1000), r));
        await Task.WhenAll(clients.Select(c => c.CloseAsync().AsTask()));
    }

    [Fact]
    public async Task The_server_can_open_streams_too()
    {
        await using var server = await Loopback.StartAsync();
        await using var client = await server.ConnectAsync();
        await Loopback.CallAsync(client, [1]);
        var call = Loopback.CallAsync(server.Accepted[0], Loopback.Bytes(5000));
        await using (var stream = (await client.AcceptStreamAsync())!)
            await Loopback.EchoAsync(stream);
        Assert.Equal(Loopback.Bytes(5000), await call);
    }
}
