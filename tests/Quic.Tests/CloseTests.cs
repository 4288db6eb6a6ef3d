using System.Net;

namespace Runtara.Quic.Tests;

public sealed class CloseTests
{
    [Fact]
    public async Task The_server_sees_who_closed_with_which_code_and_reason()
    {
        await using var server = await Loopback.StartAsync();
        await using var client = await server.ConnectAsync();
        await Loopback.CallAsync(client, [1]);
        await client.CloseAsync(5, "bye");
        Assert.Equal(new QuicClose(QuicCloseOrigin.Local, true, 5, "bye"), await client.Closed);
        Assert.Equal(
            new QuicClose(QuicCloseOrigin.Peer, true, 5, "bye"),
            await server.Accepted[0].Closed.WaitAsync(Loopback.Patience));
    }

    [Fact]
    public async Task A_closing_listener_tells_every_client_and_accepts_no_more()
    {
        await using var server = await Loopback.StartAsync();
        var clients = new[] { await server.ConnectAsync(), await server.ConnectAsync() };
        await server.Listener.CloseAsync(0, "server closing");
        foreach (var client in clients)
        {
            Assert.Equal(
                new QuicClose(QuicCloseOrigin.Peer, true, 0, "server closing"),
                await client.Closed.WaitAsync(Loopback.Patience));
        }
        Assert.Null(await server.Listener.AcceptAsync());
        await server.Listener.CloseAsync(0, "twice is harmless");
    }

    [Fact]
    public async Task The_port_of_a_listener_that_has_closed_is_free()
    {
        var options = new QuicServerOptions
        {
            Listen = new IPEndPoint(IPAddress.Loopback, 0), Certificate = Loopback.Certificate,
        };
        for (var i = 0; i < 200; i++)
        {
            var listener = await QuicListener.ListenAsync(options);
            options = options with { Listen = listener.LocalEndPoint };
            await listener.CloseAsync(0, "");
        }
    }

    [Fact]
    public async Task A_silent_connection_ends_after_the_idle_timeout()
    {
        await using var server = await Loopback.StartAsync(configure: o => o with { KeepAlive = TimeSpan.Zero });
        await using var client = await server.ConnectAsync(
            o => o with { IdleTimeout = TimeSpan.FromMilliseconds(500), KeepAlive = TimeSpan.Zero });
        Assert.Equal(QuicCloseOrigin.Timeout, (await client.Closed.WaitAsync(Loopback.Patience)).Origin);
    }

    [Fact]
    public async Task Keep_alive_holds_a_silent_connection()
    {
        await using var server = await Loopback.StartAsync(configure: o => o with { KeepAlive = TimeSpan.Zero });
        await using var held = await server.ConnectAsync(o => o with
        {
            IdleTimeout = TimeSpan.FromMilliseconds(600), KeepAlive = TimeSpan.FromMilliseconds(100),
        });
        // A connection that is not held measures the time: when it has ended twice over, the other must still live.
        for (var i = 0; i < 2; i++)
        {
            await using var silent = await server.ConnectAsync(
                o => o with { IdleTimeout = TimeSpan.FromMilliseconds(600), KeepAlive = TimeSpan.Zero });
            await silent.Closed.WaitAsync(Loopback.Patience);
        }
        Assert.False(held.Closed.IsCompleted);
        Assert.Equal([1], await Loopback.CallAsync(held, [1]));
    }

    [Fact]
    public async Task A_restarted_server_with_the_same_key_resets_old_connections_at_once()
    {
        await using var old = await Loopback.StartAsync();
        await using var restarted = await Loopback.StartAsync();
        await using var proxy = new UdpProxy(old.Listener.LocalEndPoint);
        await using var client = await Loopback.ConnectAsync(proxy.EndPoint);
        await Loopback.CallAsync(client, [1]);
        proxy.Retarget(restarted.Listener.LocalEndPoint);
        await Assert.ThrowsAsync<QuicException>(() => Loopback.CallAsync(client, Loopback.Bytes(1000)));
        Assert.Equal(QuicCloseOrigin.PeerLost, (await client.Closed.WaitAsync(Loopback.Patience)).Origin);
    }

    [Fact]
    public async Task A_closed_port_can_be_bound_again_at_once()
    {
        var server = await Loopback.StartAsync();
        var endPoint = server.Listener.LocalEndPoint;
        var client = await server.ConnectAsync();
        await server.DisposeAsync();
        await client.Closed.WaitAsync(Loopback.Patience);
        await using var again = await Loopback.StartAsync(configure: o => o with { Listen = endPoint });
        Assert.Equal(endPoint, again.Listener.LocalEndPoint);
    }
}
