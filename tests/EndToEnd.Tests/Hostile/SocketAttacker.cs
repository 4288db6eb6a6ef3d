using System.Net.Sockets;

namespace Runtara.EndToEnd.Tests.Hostile;

/// <summary>Attacks the unix socket of an attempt: a connection for each input, a few of them kept half-open.</summary>
internal sealed class SocketAttacker(string path) : IAttacker
{
    private const int HalfOpenMax = 4;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly Queue<Socket> _halfOpen = new();
    private readonly byte[] _reply = new byte[4096];

    public async Task SendAsync(HostileInput input)
    {
        using var patience = new CancellationTokenSource(Patience);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), patience.Token);
        try
        {
            await socket.SendAsync(input.Bytes, patience.Token);
            if (input.End == StreamEnd.Open)
            {
                Keep(socket);
                return;
            }
            if (input.End == StreamEnd.Fin)
                await EndsAsync(socket, patience.Token);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown)
        {
            // The daemon ended the connection at the first bytes, while more were on their way: an end too.
        }
        socket.Dispose();
    }

    private async Task EndsAsync(Socket socket, CancellationToken patience)
    {
        socket.Shutdown(SocketShutdown.Send);
        while (await socket.ReceiveAsync(_reply, patience) > 0)
        {
        }
    }

    private void Keep(Socket socket)
    {
        _halfOpen.Enqueue(socket);
        if (_halfOpen.Count > HalfOpenMax)
            _halfOpen.Dequeue().Dispose();
    }

    public ValueTask DisposeAsync()
    {
        while (_halfOpen.TryDequeue(out var socket))
            socket.Dispose();
        return ValueTask.CompletedTask;
    }
}
