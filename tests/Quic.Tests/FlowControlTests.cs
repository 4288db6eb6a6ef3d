namespace Runtara.Quic.Tests;

public sealed class FlowControlTests
{
    [Fact]
    public async Task A_hundred_megabytes_that_nobody_reads_stay_at_the_sender_and_others_live()
    {
        var sent = 0L;
        await using var server = await Loopback.StartAsync(async s =>
        {
            var first = await s.Input.ReadAsync();
            if (first.Buffer.Length < 1000)
            {
                s.Input.AdvanceTo(first.Buffer.Start);
                await Loopback.EchoAsync(s);
                return;
            }
            s.Input.AdvanceTo(first.Buffer.End);
            var block = new byte[1 << 20];
            for (var i = 0; i < 100 && !(await s.Output.WriteAsync(block)).IsCompleted; i++)
                Interlocked.Add(ref sent, block.Length);
        });
        await using var client = await server.ConnectAsync();
        await using var unread = await client.OpenStreamAsync();
        await Loopback.SendAsync(unread, new byte[1000]);
        for (var i = 0; i < 2000; i++)
            Assert.Equal([1, 2], await Loopback.CallAsync(client, [1, 2]));
        Assert.InRange(Interlocked.Read(ref sent), 0, 8 << 20);
    }

    [Fact]
    public async Task A_slow_reader_gets_everything_and_the_writer_waits()
    {
        var start = new TaskCompletionSource();
        await using var server = await Loopback.StartAsync(async s =>
        {
            await start.Task;
            await Loopback.EchoAsync(s);
        });
        await using var client = await server.ConnectAsync();
        await using var stream = await client.OpenStreamAsync();
        var request = Loopback.Bytes(5_000_000);
        var writing = stream.Output.WriteAsync(request).AsTask();
        await using (await server.ConnectAsync())
            Assert.False(writing.IsCompleted);
        start.SetResult();
        var reading = Loopback.ReadAllAsync(stream.Input);
        await writing.WaitAsync(Loopback.Patience);
        await stream.Output.CompleteAsync();
        Assert.Equal(request, await reading.WaitAsync(Loopback.Patience));
    }

    [Fact]
    public async Task Twenty_unread_uploads_that_fill_the_connection_window_move_again_once_they_are_read()
    {
        var start = new TaskCompletionSource();
        await using var server = await Loopback.StartAsync(
            async s =>
            {
                await start.Task;
                await Loopback.EchoAsync(s);
            },
            o => o with { StreamWindowBytes = 100_000, ConnectionWindowBytes = 300_000 });
        await using var client = await server.ConnectAsync();
        var request = Loopback.Bytes(400_000);
        var calls = Enumerable.Range(0, 20).Select(_ => Loopback.CallAsync(client, request)).ToArray();
        start.SetResult();
        Assert.All(await Task.WhenAll(calls), r => Assert.Equal(request, r));
    }

    [Fact]
    public async Task As_many_unread_streams_as_may_be_open_do_not_stop_the_one_that_is_read()
    {
        var release = new TaskCompletionSource();
        await using var server = await Loopback.StartAsync(async s =>
        {
            var first = await s.Input.ReadAsync();
            var isUnread = first.Buffer.FirstSpan[0] == 0;
            s.Input.AdvanceTo(first.Buffer.Start);
            if (isUnread)
                await release.Task;
            else
                await Loopback.EchoAsync(s);
        });
        await using var client = await server.ConnectAsync();
        for (var i = 0; i < 999; i++)
            await (await client.OpenStreamAsync()).Output.WriteAsync(new byte[50_000]);
        var request = Loopback.Bytes(3_000_000);
        request[0] = 1;
        Assert.Equal(request, await Loopback.CallAsync(client, request));
        release.SetResult();
    }

    [Fact]
    public async Task Opening_waits_for_the_peers_stream_limit()
    {
        await using var server = await Loopback.StartAsync(configure: o => o with { MaxBidirectionalStreams = 4 });
        await using var client = await server.ConnectAsync();
        var open = new List<QuicStream>();
        for (var i = 0; i < 4; i++)
            open.Add(await client.OpenStreamAsync());
        var fifth = client.OpenStreamAsync().AsTask();
        Assert.False(fifth.IsCompleted);
        using var cancel = new CancellationTokenSource();
        var sixth = client.OpenStreamAsync(cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sixth);
        await Loopback.SendAsync(open[0], [1]);
        await Loopback.ReadAllAsync(open[0].Input);
        await using var stream = await fifth.WaitAsync(Loopback.Patience);
        Assert.Equal(16, stream.Id);
    }

    [Fact]
    public async Task Three_thousand_calls_at_once_pass_a_limit_of_a_thousand()
    {
        await using var server = await Loopback.StartAsync();
        await using var client = await server.ConnectAsync();
        await Task.WhenAll(Enumerable.Range(0, 3000).Select(_ => Loopback.CallAsync(client, [1, 2, 3])));
    }

    [Fact]
    public async Task Opening_and_resetting_in_a_loop_cannot_outrun_the_handlers()
    {
        const int Limit = 32;
        var handlers = 0;
        var release = new TaskCompletionSource();
        await using var server = await Loopback.StartAsync(
            async s =>
            {
                Interlocked.Increment(ref handlers);
                await release.Task;
            },
            o => o with { MaxBidirectionalStreams = Limit });
        await using var client = await server.ConnectAsync();
        using var window = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        var opened = 0;
        try
        {
            for (; opened < 1000; opened++)
            {
                var stream = await client.OpenStreamAsync(window.Token);
                await stream.Output.WriteAsync(new byte[1]);
                stream.Abort(1);
                await stream.DisposeAsync();
            }
        }
        catch (OperationCanceledException)
        {
        }
        Assert.Equal(Limit, opened);
        Assert.InRange(Volatile.Read(ref handlers), 0, Limit);
        release.SetResult();
        await using var after = await client.OpenStreamAsync().AsTask().WaitAsync(Loopback.Patience);
    }
}
