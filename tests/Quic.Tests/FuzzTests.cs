using System.Net;
using System.Net.Sockets;

namespace Runtara.Quic.Tests;

public sealed class FuzzTests
{
    private const int Datagrams = 10_000;

    [Fact]
    public async Task Random_truncated_and_mutated_datagrams_disturb_nobody()
    {
        await using var server = await Loopback.StartAsync();
        await using var proxy = new UdpProxy(server.Listener.LocalEndPoint);
        await using var captured = await Loopback.ConnectAsync(proxy.EndPoint);
        for (var i = 0; i < 50; i++)
            await Loopback.CallAsync(captured, Loopback.Bytes(i * 100));
        await using var healthy = await server.ConnectAsync();
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var random = new Random(1);
        var samples = proxy.Captured.ToArray();
        for (var i = 0; i < Datagrams; i++)
        {
            await socket.SendToAsync(Malform(random, samples), server.Listener.LocalEndPoint);
            if (i % 100 == 0)
                Assert.Equal([1, 2, 3], await Loopback.CallAsync(healthy, [1, 2, 3]));
        }
        Assert.Equal([4], await Loopback.CallAsync(captured, [4]));
        await using var fresh = await server.ConnectAsync();
        Assert.Equal([5], await Loopback.CallAsync(fresh, [5]));
    }

    [Fact]
    public async Task A_client_survives_malformed_datagrams_too()
    {
        await using var server = await Loopback.StartAsync();
        await using var proxy = new UdpProxy(server.Listener.LocalEndPoint);
        await using var client = await Loopback.ConnectAsync(proxy.EndPoint);
        await Loopback.CallAsync(client, Loopback.Bytes(5000));
        var random = new Random(2);
        var samples = proxy.Captured.ToArray();
        for (var i = 0; i < Datagrams / 5; i++)
            await proxy.InjectToClientAsync(Malform(random, samples));
        Assert.Equal([4], await Loopback.CallAsync(client, [4]));
    }

    private static byte[] Malform(Random random, byte[][] samples)
    {
        var kind = random.Next(3);
        if (kind == 0)
        {
            var noise = new byte[random.Next(1, 1500)];
            random.NextBytes(noise);
            return noise;
        }
        var sample = samples[random.Next(samples.Length)];
        if (kind == 1)
            return sample[..random.Next(1, sample.Length)];
        var mutated = (byte[])sample.Clone();
        for (var flips = random.Next(1, 8); flips > 0; flips--)
            mutated[random.Next(mutated.Length)] ^= (byte)(1 << random.Next(8));
        return mutated;
    }
}
