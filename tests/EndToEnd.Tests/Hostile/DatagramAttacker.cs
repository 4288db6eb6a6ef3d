using System.Net;
using System.Net.Sockets;
using Runtara.Quic;
using Runtara.Quic.Tests;

namespace Runtara.EndToEnd.Tests.Hostile;

/// <summary>
/// Datagrams that are not QUIC, or no longer: noise, and spoilt copies of the packets of a client that lives meanwhile.
/// </summary>
internal sealed class DatagramAttacker : IAsyncDisposable
{
    private const int Calls = 20, HandshakePackets = 4;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly IPEndPoint _daemon;
    private readonly UdpProxy _proxy;
    private readonly QuicConnection _client;
    private readonly byte[][] _samples;
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

    private DatagramAttacker(IPEndPoint daemon, UdpProxy proxy, QuicConnection client)
    {
        (_daemon, _proxy, _client, _samples) = (daemon, proxy, client, [.. proxy.Captured]);
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
    }

    /// <summary>Captures the handshake and a few requests of a client.</summary>
    public static async Task<DatagramAttacker> CaptureAsync(IPEndPoint daemon, byte[] validFrame)
    {
        var proxy = new UdpProxy(daemon);
        var client = await QuicConnection.ConnectAsync(
            new QuicClientOptions { Remote = proxy.EndPoint, Trust = QuicTrust.AcceptAny });
        for (var i = 0; i < Calls; i++)
            await CallAsync(client, validFrame);
        return new DatagramAttacker(daemon, proxy, client);
    }

    /// <summary>A request of the client whose packets are copied; the length of the answer.</summary>
    public Task<long> CallAsync(byte[] validFrame) => CallAsync(_client, validFrame);

    public async Task SendNoiseAsync(Random random)
    {
        var noise = new byte[random.Next(1, 1500)];
        random.NextBytes(noise);
        await _socket.SendToAsync(noise, _daemon);
    }

    public async Task SendSpoiltAsync(Random random)
    {
        // Half of them from the handshake: those packets create state before they are known to be right.
        var sample = _samples[random.Next(random.Next(2) == 0 ? HandshakePackets : _samples.Length)];
        var spoilt = (byte[])sample.Clone();
        for (var flips = random.Next(1, 8); flips > 0; flips--)
            spoilt[random.Next(spoilt.Length)] ^= (byte)(1 << random.Next(8));
        var length = random.Next(2) == 0 ? spoilt.Length : random.Next(1, spoilt.Length);
        await _socket.SendToAsync(spoilt.AsMemory(0, length), _daemon);
    }

    private static async Task<long> CallAsync(QuicConnection client, byte[] frame)
    {
        using var patience = new CancellationTokenSource(Patience);
        await using var stream = await client.OpenStreamAsync(patience.Token);
        await stream.Output.WriteAsync(frame, patience.Token);
        await stream.Output.CompleteAsync();
        var length = 0L;
        while (true)
        {
            var result = await stream.Input.ReadAsync(patience.Token);
            length += result.Buffer.Length;
            stream.Input.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
                return length;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        await _proxy.DisposeAsync();
        _socket.Dispose();
    }
}
