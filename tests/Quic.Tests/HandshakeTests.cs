using System.Net;
using System.Net.Sockets;

namespace Runtara.Quic.Tests;

public sealed class HandshakeTests
{
    private const long NoApplicationProtocol = 0x100 + 120, BadCertificate = 0x100 + 42, ConnectionRefused = 2;

    [Fact]
    public async Task A_client_without_alpn_is_served()
    {
        await using var server = await Loopback.StartAsync();
        await using var client = await server.ConnectAsync();
        Assert.Null(client.Alpn);
        Assert.Equal([7], await Loopback.CallAsync(client, [7]));
        Assert.Null(server.Accepted[0].Alpn);
    }

    [Fact]
    public async Task A_client_that_offers_runtara_gets_it()
    {
        await using var server = await Loopback.StartAsync();
        await using var client = await server.ConnectAsync(o => o with { Alpn = ["other", "runtara"] });
        Assert.Equal("runtara", client.Alpn);
        Assert.Equal([7], await Loopback.CallAsync(client, [7]));
        Assert.Equal("runtara", server.Accepted[0].Alpn);
    }

    [Fact]
    public async Task A_client_that_offers_only_something_else_is_refused_with_alert_120()
    {
        await using var server = await Loopback.StartAsync();
        var refused = await Assert.ThrowsAsync<QuicException>(
            () => server.ConnectAsync(o => o with { Alpn = ["h3"] }).AsTask());
        Assert.Equal(NoApplicationProtocol, refused.ErrorCode);
    }

    [Fact]
    public async Task Another_certificate_than_the_pinned_one_is_refused()
    {
        await using var server = await Loopback.StartAsync();
        var refused = await Assert.ThrowsAsync<QuicException>(() => server.ConnectAsync(
            o => o with { Trust = QuicTrust.Pinned(new string('0', 64)) }).AsTask());
        Assert.Equal(BadCertificate, refused.ErrorCode);
        Assert.Contains(Loopback.Certificate.Sha256, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_self_signed_certificate_is_refused_by_system_trust()
    {
        await using var server = await Loopback.StartAsync();
        var refused = await Assert.ThrowsAsync<QuicException>(
            () => server.ConnectAsync(o => o with { Trust = QuicTrust.System }).AsTask());
        Assert.Equal(BadCertificate, refused.ErrorCode);
    }

    [Fact]
    public async Task Any_certificate_and_a_function_of_ones_own_are_possible()
    {
        await using var server = await Loopback.StartAsync();
        await using var any = await server.ConnectAsync(o => o with { Trust = QuicTrust.AcceptAny });
        await using var own = await server.ConnectAsync(
            o => o with { Trust = QuicTrust.Custom(c => c.Subject == "CN=localhost") });
        await Assert.ThrowsAsync<QuicException>(
            () => server.ConnectAsync(o => o with { Trust = QuicTrust.Custom(_ => false) }).AsTask());
    }

    [Fact]
    public async Task A_server_that_always_asks_for_an_address_proof_serves()
    {
        await using var server = await Loopback.StartAsync(configure: o => o with { RetryAboveHalfOpen = 0 });
        await using var proxy = new UdpProxy(server.Listener.LocalEndPoint);
        await using var client = await Loopback.ConnectAsync(proxy.EndPoint);
        Assert.Equal([7], await Loopback.CallAsync(client, [7]));
        // The second Initial carries the Retry token right behind its connection ids.
        Assert.Contains(proxy.Captured, p => HasToken(p));
    }

    [Fact]
    public async Task Half_open_connections_switch_the_address_proof_on()
    {
        await using var server = await Loopback.StartAsync(configure: o => o with { RetryAboveHalfOpen = 3 });
        await using var proxy = new UdpProxy(server.Listener.LocalEndPoint);
        await using (await Loopback.ConnectAsync(proxy.EndPoint))
        {
            Assert.DoesNotContain(proxy.Captured, p => HasToken(p));
        }
        using var socket = NewSocket();
        var initial = proxy.Captured.First();
        for (byte i = 0; i < 3; i++)
        {
            // The id takes part in the keys, so each needs a packet of its own: take it from a handshake left alone.
            await using var lonely = new UdpProxy(new IPEndPoint(IPAddress.Loopback, 9));
            await Assert.ThrowsAsync<QuicException>(() => Loopback.ConnectAsync(
                lonely.EndPoint, o => o with { ConnectTimeout = TimeSpan.FromMilliseconds(50) }).AsTask());
            await socket.SendToAsync(lonely.Captured.First(), server.Listener.LocalEndPoint);
        }
        await using var client = await Loopback.ConnectAsync(proxy.EndPoint);
        Assert.Contains(proxy.Captured, p => HasToken(p));
        Assert.Equal([7], await Loopback.CallAsync(client, [7]));
    }

    [Fact]
    public async Task An_unknown_version_is_answered_with_the_known_one()
    {
        await using var server = await Loopback.StartAsync();
        using var socket = NewSocket();
        var packet = new byte[1200];
        packet[0] = 0xc0;
        new byte[] { 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 4, 9, 9, 9, 9 }.CopyTo(packet, 1);
        await socket.SendToAsync(packet, server.Listener.LocalEndPoint);
        var answer = new byte[1500];
        using var patience = new CancellationTokenSource(Loopback.Patience);
        var length = await socket.ReceiveAsync(answer, patience.Token);
        byte[] expected = [0, 0, 0, 0, 4, 9, 9, 9, 9, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1];
        Assert.Equal(expected, answer[1..length]);
    }

    [Fact]
    public async Task A_full_server_refuses()
    {
        await using var server = await Loopback.StartAsync(configure: o => o with { MaxConnections = 1 });
        await using var first = await server.ConnectAsync();
        var refused = await Assert.ThrowsAsync<QuicException>(() => server.ConnectAsync().AsTask());
        Assert.Equal(ConnectionRefused, refused.ErrorCode);
    }

    [Fact]
    public async Task A_silent_server_is_given_up_after_the_connect_timeout()
    {
        using var silent = NewSocket();
        var lost = await Assert.ThrowsAsync<QuicException>(() => Loopback.ConnectAsync(
            (IPEndPoint)silent.LocalEndPoint!,
            o => o with { ConnectTimeout = TimeSpan.FromMilliseconds(200) }).AsTask());
        Assert.Contains("no handshake", lost.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connecting_can_be_cancelled()
    {
        using var silent = NewSocket();
        using var cancel = new CancellationTokenSource(100);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => QuicConnection.ConnectAsync(
            new QuicClientOptions { Remote = (IPEndPoint)silent.LocalEndPoint! }, cancel.Token).AsTask());
    }

    [Fact]
    public async Task A_port_in_use_is_named()
    {
        await using var server = await Loopback.StartAsync();
        var taken = await Assert.ThrowsAsync<QuicException>(
            () => Loopback.StartAsync(configure: o => o with { Listen = server.Listener.LocalEndPoint }));
        Assert.Contains(server.Listener.LocalEndPoint.ToString(), taken.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ipv6_is_served()
    {
        await using var server = await Loopback.StartAsync(
            configure: o => o with { Listen = new IPEndPoint(IPAddress.IPv6Loopback, 0) });
        await using var client = await server.ConnectAsync();
        Assert.Equal([7], await Loopback.CallAsync(client, [7]));
    }

    private static Socket NewSocket()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    }

    private static bool HasToken(byte[] packet)
    {
        if ((packet[0] & 0xf0) != 0xc0)
            return false;
        var afterDcid = 6 + packet[5];
        return packet[afterDcid + 1 + packet[afterDcid]] != 0;
    }
}
