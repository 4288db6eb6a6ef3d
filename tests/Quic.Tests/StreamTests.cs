using System.IO.Pipelines;

namespace Runtara.Quic.Tests;

public sealed class StreamTests
{
    private readonly TaskCompletionSource<QuicStream> _atServer =
        new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _release = new(TaskCreationOptions.RunContinuationsAsynchronously);

    [Fact]
    public async Task A_reset_reaches_the_reader_with_its_code()
    {
        await using var server = await Loopback.StartAsync(Hold);
        await using var client = await server.ConnectAsync();
        await using var stream = await client.OpenStreamAsync();
        await stream.Output.WriteAsync(new byte[10]);
        var peer = await AtServer();
        await stream.Output.CompleteAsync(new QuicStreamResetException(42));
        var reset = await Assert.ThrowsAsync<QuicStreamResetException>(() => Loopback.ReadAllAsync(peer.Input));
        Assert.Equal(42, reset.ErrorCode);
        _release.SetResult();
    }

    [Fact]
    public async Task A_reset_by_the_server_reaches_the_client()
    {
        await using var server = await Loopback.StartAsync(async s =>
        {
            await s.Input.ReadAsync();
            await s.Output.CompleteAsync(new QuicException("no", 43));
        });
        await using var client = await server.ConnectAsync();
        var reset = await Assert.ThrowsAsync<QuicStreamResetException>(
            () => Loopback.CallAsync(client, Loopback.Bytes(10)));
        Assert.Equal(43, reset.ErrorCode);
    }

    [Fact]
    public async Task A_completed_reader_stops_the_sender_without_an_exception()
    {
        await using var server = await Loopback.StartAsync(async s =>
        {
            await s.Input.ReadAsync();
            await s.Input.CompleteAsync();
            await _release.Task;
        });
        await using var client = await server.ConnectAsync();
        await using var stream = await client.OpenStreamAsync();
        FlushResult flushed;
        do
            flushed = await stream.Output.WriteAsync(new byte[10_000]).AsTask().WaitAsync(Loopback.Patience);
        while (!flushed.IsCompleted);
        Assert.True((await stream.Output.WriteAsync(new byte[10])).IsCompleted);
        _release.SetResult();
    }

    [Fact]
    public async Task A_writer_that_waits_for_window_learns_that_it_was_stopped()
    {
        await using var server = await Loopback.StartAsync(Hold);
        await using var client = await server.ConnectAsync();
        await using var stream = await client.OpenStreamAsync();
        var writing = stream.Output.WriteAsync(new byte[4_000_000]).AsTask();
        var peer = await AtServer();
        Assert.False(writing.IsCompleted);
        await peer.Input.CompleteAsync();
        Assert.True((await writing.WaitAsync(Loopback.Patience)).IsCompleted);
        _release.SetResult();
    }

    [Fact]
    public async Task Abort_ends_both_directions_at_the_peer()
    {
        await using var server = await Loopback.StartAsync(Hold);
        await using var client = await server.ConnectAsync();
        await using var stream = await client.OpenStreamAsync();
        await stream.Output.WriteAsync(new byte[10]);
        var peer = await AtServer();
        stream.Abort(9);
        var reset = await Assert.ThrowsAsync<QuicStreamResetException>(() => Loopback.ReadAllAsync(peer.Input));
        Assert.Equal(9, reset.ErrorCode);
        FlushResult flushed;
        do
            flushed = await peer.Output.WriteAsync(new byte[10_000]).AsTask().WaitAsync(Loopback.Patience);
        while (!flushed.IsCompleted);
        await Assert.ThrowsAsync<QuicStreamResetException>(() => stream.Input.ReadAsync().AsTask());
        _release.SetResult();
    }

    [Fact]
    public async Task A_disposed_stream_still_delivers_what_was_flushed()
    {
        var got = new TaskCompletionSource<byte[]>();
        await using var server = await Loopback.StartAsync(
            async s => got.SetResult(await Loopback.ReadAllAsync(s.Input)));
        await using var client = await server.ConnectAsync();
        var stream = await client.OpenStreamAsync();
        await stream.Output.WriteAsync(Loopback.Bytes(300_000));
        await stream.DisposeAsync();
        await stream.DisposeAsync();
        Assert.Equal(Loopback.Bytes(300_000), await got.Task.WaitAsync(Loopback.Patience));
    }

    [Fact]
    public async Task What_was_written_when_the_connection_closes_is_sent_first()
    {
        var got = new TaskCompletionSource<byte[]>();
        await using var server = await Loopback.StartAsync(
            async s => got.SetResult(await Loopback.ReadAllAsync(s.Input)));
        await using var client = await server.ConnectAsync();
        await Loopback.CallAsync(client, []);
        got = new TaskCompletionSource<byte[]>();
        var stream = await client.OpenStreamAsync();
        await Loopback.SendAsync(stream, Loopback.Bytes(500));
        await client.CloseAsync(1, "done");
        Assert.Equal(Loopback.Bytes(500), await got.Task.WaitAsync(Loopback.Patience));
    }

    [Fact]
    public async Task A_pending_read_can_be_cancelled_and_tried_again()
    {
        await using var server = await Loopback.StartAsync();
        await using var client = await server.ConnectAsync();
        await using var stream = await client.OpenStreamAsync();
        using var cancel = new CancellationTokenSource();
        var reading = stream.Input.ReadAsync(cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        await Loopback.SendAsync(stream, [1, 2, 3]);
        Assert.Equal([1, 2, 3], await Loopback.ReadAllAsync(stream.Input).WaitAsync(Loopback.Patience));
    }

    [Fact]
    public async Task Disposing_under_a_pending_read_wakes_it()
    {
        await using var server = await Loopback.StartAsync(Hold);
        await using var client = await server.ConnectAsync();
        var stream = await client.OpenStreamAsync();
        await stream.Output.WriteAsync(new byte[1]);
        var reading = stream.Input.ReadAsync().AsTask();
        await stream.DisposeAsync();
        Assert.True((await reading.WaitAsync(Loopback.Patience)) is { IsCanceled: true } or { IsCompleted: true });
        _release.SetResult();
    }

    [Fact]
    public async Task A_lost_connection_fails_reads_writes_and_opens()
    {
        await using var server = await Loopback.StartAsync(Hold);
        await using var client = await server.ConnectAsync();
        await using var stream = await client.OpenStreamAsync();
        await stream.Output.WriteAsync(new byte[1]);
        var reading = stream.Input.ReadAsync().AsTask();
        var writing = stream.Output.WriteAsync(new byte[4_000_000]).AsTask();
        await AtServer();
        await server.Accepted[0].CloseAsync(77, "enough");
        foreach (var waiting in new Task[] { reading, writing })
        {
            var lost = await Assert.ThrowsAsync<QuicException>(() => waiting.WaitAsync(Loopback.Patience));
            Assert.Equal(77, lost.ErrorCode);
        }
        await Assert.ThrowsAsync<QuicException>(() => client.OpenStreamAsync().AsTask());
        Assert.Null(await client.AcceptStreamAsync());
        _release.SetResult();
    }

    private async Task Hold(QuicStream stream)
    {
        _atServer.TrySetResult(stream);
        await _release.Task;
    }

    private Task<QuicStream> AtServer() => _atServer.Task.WaitAsync(Loopback.Patience);
}
