using System.Net.Sockets;
using Runtara.Edge.Instances;
using Runtara.Protocol;

namespace Runtara.Edge.Tests.Instances;

public sealed class ReplyStreamTests
{
    private const int Bytes = 8 << 20;

    [Fact]
    public async Task A_reply_that_nobody_takes_closes_the_connection()
    {
        using var peers = await Peers.ConnectAsync();
        var limits = new FrameLimits { StallTimeout = TimeSpan.FromMilliseconds(200) };
        await using var stream = new ReplyStream(peers.Ours, limits, TimeProvider.System);
        stream.Begin(Bytes);

        var e = await Assert.ThrowsAsync<IOException>(async () => await stream.WriteAsync(new byte[Bytes]));

        Assert.Equal("the peer does not take a reply", e.Message);
        await ReadAsync(peers.Theirs, long.MaxValue);
    }

    [Fact]
    public async Task A_reply_that_is_taken_arrives()
    {
        using var peers = await Peers.ConnectAsync();
        await using var stream = new ReplyStream(peers.Ours, FrameLimits.Default, TimeProvider.System);
        stream.Begin(Bytes);
        var writing = stream.WriteAsync(new byte[Bytes]).AsTask();
        Assert.Equal(Bytes, await ReadAsync(peers.Theirs, Bytes));
        await writing;
    }

    [Fact]
    public async Task A_reply_that_is_taken_by_the_byte_closes_the_connection_too()
    {
        using var peers = await Peers.ConnectAsync();
        var limits = new FrameLimits { StallTimeout = TimeSpan.FromMilliseconds(500), BytesPerSecondMin = 64 << 20 };
        await using var stream = new ReplyStream(peers.Ours, limits, TimeProvider.System);
        stream.Begin(Bytes);
        var writing = stream.WriteAsync(new byte[Bytes]).AsTask();
        while (!writing.IsCompleted)
            await ReadAsync(peers.Theirs, 1);
        await Assert.ThrowsAsync<IOException>(() => writing);
    }

    /// <summary>So many bytes, or fewer when the connection ends before.</summary>
    private static async Task<long> ReadAsync(Socket socket, long bytes)
    {
        var buffer = new byte[Math.Min(bytes, 64 << 10)];
        var seen = 0L;
        while (seen < bytes && await socket.ReceiveAsync(buffer) is > 0 and var count)
            seen += count;
        return seen;
    }

    private sealed record Peers(Socket Ours, Socket Theirs) : IDisposable
    {
        public static async Task<Peers> ConnectAsync()
        {
            var directory = Directory.CreateTempSubdirectory("runtara-reply-");
            var address = new UnixDomainSocketEndPoint(Path.Combine(directory.FullName, "s"));
            using var listener = New();
            listener.Bind(address);
            listener.Listen();
            var theirs = New();
            await theirs.ConnectAsync(address);
            var ours = await listener.AcceptAsync();
            directory.Delete(recursive: true);
            return new Peers(ours, theirs);
        }

        private static Socket New() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

        public void Dispose()
        {
            Ours.Dispose();
            Theirs.Dispose();
        }
    }
}
