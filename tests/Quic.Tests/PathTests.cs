namespace Runtara.Quic.Tests;

public sealed class PathTests
{
    [Fact]
    public async Task A_client_whose_nat_gives_it_another_port_keeps_its_connection()
    {
        await using var server = await Loopback.StartAsync();
        await using var proxy = new UdpProxy(server.Listener.LocalEndPoint);
        await using var client = await Loopback.ConnectAsync(proxy.EndPoint);
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(Loopback.Bytes(20_000), await Loopback.CallAsync(client, Loopback.Bytes(20_000)));
            proxy.Rebind();
        }
        Assert.Equal(Loopback.Bytes(20_000), await Loopback.CallAsync(client, Loopback.Bytes(20_000)));
        Assert.Single(server.Accepted);
    }

    [Theory]
    [InlineData(QuicCongestionControl.Cubic)]
    [InlineData(QuicCongestionControl.Bbr)]
    [InlineData(QuicCongestionControl.Reno)]
    public async Task Lost_datagrams_are_repeated(QuicCongestionControl control)
    {
        await using var server = await Loopback.StartAsync(configure: o => o with { CongestionControl = control });
        await using var proxy = new UdpProxy(server.Listener.LocalEndPoint);
        await using var client = await Loopback.ConnectAsync(
            proxy.EndPoint, o => o with { CongestionControl = control });
        proxy.LossPercent = 5;
        var replies = await Task.WhenAll(
            Enumerable.Range(1, 16).Select(i => Loopback.CallAsync(client, Loopback.Bytes(i * 5000))));
        Assert.All(replies.Select((r, i) => (r, i)), x => Assert.Equal(Loopback.Bytes((x.i + 1) * 5000), x.r));
    }
}
