using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Runtara.Quic.Tests;

/// <summary>Stands between one client and a server: captures, loses, moves the client to another port as a NAT does, or
/// sends it to another server.</summary>
internal sealed class UdpProxy : IAsyncDisposable
{
    private readonly Socket _front = NewSocket();
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _pumps = [];
    private readonly Random _random = new(7);
    private volatile Socket _back = NewSocket();
    private volatile EndPoint? _client;
    private volatile IPEndPoint _server;

    public UdpProxy(IPEndPoint server)
    {
        _server = server;
        _pumps.Add(FromClientAsync());
        _pumps.Add(FromServerAsync(_back));
    }

    public IPEndPoint EndPoint => (IPEndPoint)_front.LocalEndPoint!;

    public ConcurrentQueue<byte[]> Captured { get; } = new();

    /// <summary>Of a hundred datagrams, this many are lost, each way.</summary>
    public int LossPercent { get; set; }

    public void Rebind()
    {
        _back = NewSocket();
        _pumps.Add(FromServerAsync(_back));
    }

    public void Retarget(IPEndPoint server) => _server = server;

    public Task InjectToClientAsync(byte[] datagram) => _front.SendToAsync(datagram, SocketFlags.None, _client!);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_pumps);
        _front.Dispose();
        _back.Dispose();
        _stop.Dispose();
    }

    private static Socket NewSocket()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    }

    private bool IsLost()
    {
        lock (_random)
            return _random.Next(100) < LossPercent;
    }

    private async Task FromClientAsync()
    {
        var buffer = new byte[65536];
        try
        {
            while (true)
            {
                var received = await _front.ReceiveFromAsync(
                    buffer, SocketFlags.None, new IPEndPoint(IPAddress.Any, 0), _stop.Token);
                _client = received.RemoteEndPoint;
                if (Captured.Count < 2000)
                    Captured.Enqueue(buffer[..received.ReceivedBytes]);
                if (!IsLost())
                    await _back.SendToAsync(buffer.AsMemory(0, received.ReceivedBytes), _server, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private async Task FromServerAsync(Socket back)
    {
        var buffer = new byte[65536];
        try
        {
            while (true)
            {
                var received = await back.ReceiveFromAsync(
                    buffer, SocketFlags.None, new IPEndPoint(IPAddress.Any, 0), _stop.Token);
                // After a rebinding the old port is closed to the server, as with a real NAT.
                if (back == _back && _client is { } client && !IsLost())
                    await _front.SendToAsync(buffer.AsMemory(0, received.ReceivedBytes), client, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
        }
    }
}
