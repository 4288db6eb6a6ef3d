using System.IO.Pipelines;
using Microsoft.Extensions.Logging;
using Runtara.Edge.Tests.Harness;
using Runtara.Protocol;
using Runtara.Quic;
using Runtara.Quic.Tests;

namespace Runtara.Edge.Tests;

/// <summary>What becomes of a reply that its peer does not take, or that a stop meets on its way; and of a door that
/// fails. No request of these touches a database.</summary>
public sealed class QuicServerReplyTests
{
    private static readonly TimeSpan Within = TimeSpan.FromSeconds(30);
    private static readonly EdgeOptions Options = new() { StopGrace = Within };

    [Fact]
    public async Task A_reply_longer_than_one_burst_arrives_whole_though_its_server_stops()
    {
        var reply = new byte[400_000];
        new Random(1).NextBytes(reply);
        var server = new ReplyingServer(await ReplyingServer.ListenAsync(), Options, TimeProvider.System, reply);
        server.Start();
        await using var proxy = new UdpProxy(server.Listener.LocalEndPoint);
        await using var client = await QuicConnection.ConnectAsync(
            new QuicClientOptions { Remote = proxy.EndPoint, Trust = QuicTrust.AcceptAny });
        await using var stream = await AskAsync(client);
        await server.Asked.Task.WaitAsync(Within);

        var stopping = server.DisposeAsync().AsTask();
        server.Answer.SetResult();

        Assert.Equal(reply, await ReadAllAsync(stream.Input).WaitAsync(Within));
        await stopping.WaitAsync(Within / 2);
    }

    [Fact]
    public async Task A_reply_that_nobody_takes_is_dropped_after_the_stall_timeout()
    {
        var options = Options with { Frames = new FrameLimits { StallTimeout = TimeSpan.FromSeconds(1) } };
        await using var server = new ReplyingServer(
            await ReplyingServer.ListenAsync(), options, TimeProvider.System, new byte[8 << 20]);
        server.Start();
        server.Answer.SetResult();
        await using var client = await QuicConnection.ConnectAsync(new QuicClientOptions
        {
            Remote = server.Listener.LocalEndPoint, Trust = QuicTrust.AcceptAny,
        });
        await using var stream = await AskAsync(client);
        await server.Asked.Task.WaitAsync(Within);

        await server.Stream!.Over.WaitAsync(Within);

        await Assert.ThrowsAsync<QuicStreamResetException>(() => ReadAllAsync(stream.Input));
    }

    [Fact]
    public async Task A_reply_that_is_taken_slowly_but_steadily_arrives()
    {
        var options = Options with { Frames = new FrameLimits { StallTimeout = TimeSpan.FromSeconds(2) } };
        var reply = new byte[8 << 20];
        await using var server = new ReplyingServer(
            await ReplyingServer.ListenAsync(), options, TimeProvider.System, reply);
        server.Start();
        server.Answer.SetResult();
        await using var client = await QuicConnection.ConnectAsync(new QuicClientOptions
        {
            Remote = server.Listener.LocalEndPoint, Trust = QuicTrust.AcceptAny,
        });
        await using var stream = await AskAsync(client);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(500));
        var bytes = 0L;
        for (var isCompleted = false; !isCompleted; await pace.WaitForNextTickAsync())
        {
            var read = await stream.Input.ReadAsync();
            isCompleted = read.IsCompleted;
            bytes += read.Buffer.Length;
            stream.Input.AdvanceTo(read.Buffer.End);
        }

        Assert.Equal(reply.Length, bytes);
    }

    [Fact]
    public async Task A_listener_that_fails_is_told_and_logged()
    {
        var log = new RecordingLog();
        await using var server = new ReplyingServer(
            await ReplyingServer.ListenAsync(), Options, TimeProvider.System, default, log)
        {
            Failure = new QuicException("the socket is gone"),
        };
        Assert.False(server.Failed.IsCompleted);

        server.Start();

        Assert.Equal("the socket is gone", (await server.Failed.WaitAsync(Within)).Message);
        Assert.Contains(log.Lines, l => l is (LogLevel.Error, "test requests are not accepted any more"));
    }

    private static async Task<QuicStream> AskAsync(QuicConnection client)
    {
        var stream = await client.OpenStreamAsync();
        await stream.Output.WriteAsync("?"u8.ToArray());
        await stream.Output.CompleteAsync();
        return stream;
    }

    private static async Task<byte[]> ReadAllAsync(PipeReader input)
    {
        using var all = new MemoryStream();
        await input.CopyToAsync(all);
        return all.ToArray();
    }

    private sealed class RecordingLog : ILogger
    {
        public List<(LogLevel Level, string Text)> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Lines.Add((logLevel, formatter(state, exception)));
    }
}
