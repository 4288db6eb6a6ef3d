using System.Buffers.Binary;
using System.IO.Pipelines;
using Runtara.Protocol.Instances;

namespace Runtara.Protocol.Tests;

/// <summary>Frames of 100,000 bytes; a share has room for two of them, all shares together for three.</summary>
public sealed class FrameBudgetTests
{
    private const int Bytes = 100_000 + FrameBudget.OwnBytes;
    private static readonly TimeSpan Stall = FrameLimits.Default.StallTimeout;

    private static readonly PipeOptions Inline =
        new(readerScheduler: PipeScheduler.Inline, useSynchronizationContext: false);

    private readonly ManualTime _time = new();
    private readonly FrameBudget _budget = new(3 * Bytes);
    private readonly FrameShare _one;
    private readonly FrameShare _other;

    public FrameBudgetTests() => (_one, _other) = (_budget.NewShare(2 * Bytes), _budget.NewShare(2 * Bytes));

    [Fact]
    public void A_share_has_its_own_limit_and_all_of_them_have_one_together()
    {
        Assert.NotNull(_one.TryReserve(Bytes));
        using var second = _one.TryReserve(Bytes);
        Assert.Null(_one.TryReserve(Bytes));
        Assert.NotNull(_other.TryReserve(Bytes));
        Assert.Null(_other.TryReserve(Bytes));

        second!.Dispose();
        second.Dispose();

        Assert.NotNull(_other.TryReserve(Bytes));
        Assert.Null(_one.TryReserve(Bytes));
    }

    [Fact]
    public void Small_requests_have_room_though_others_have_filled_what_all_share()
    {
        while (_budget.NewShare(Bytes).TryReserve(Bytes) is not null)
        {
        }

        Assert.NotNull(_one.TryReserve(FrameBudget.OwnBytes));
        Assert.Null(_one.TryReserve(20_000));
    }

    [Fact]
    public async Task Who_waits_is_served_in_the_order_of_coming()
    {
        var first = _one.TryReserve(2 * Bytes)!;
        var large = ReserveAsync(_one, 2 * Bytes);
        var small = ReserveAsync(_one, 20_000);
        Assert.Null(_one.TryReserve(1));
        Assert.False(large.IsCompleted || small.IsCompleted);

        first.Dispose();
        using var room = await large;

        Assert.NotNull(room);
        Assert.False(small.IsCompleted);
        room.Dispose();
        Assert.NotNull(await small);
    }

    [Fact]
    public async Task Who_waits_too_long_gets_nothing_and_takes_nothing()
    {
        var first = _one.TryReserve(2 * Bytes)!;
        var late = ReserveAsync(_one, Bytes);
        _time.Advance(Stall - TimeSpan.FromSeconds(1));
        var patient = ReserveAsync(_one, Bytes);
        Assert.False(late.IsCompleted);

        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Null(await late);
        first.Dispose();
        Assert.NotNull(await patient);
        Assert.NotNull(_one.TryReserve(Bytes));
    }

    [Fact]
    public async Task Who_waits_for_the_others_gives_its_share_back_when_it_gives_up()
    {
        using var all = _other.TryReserve(2 * Bytes);
        using var rest = _budget.NewShare(Bytes).TryReserve(Bytes);
        using var leaving = new CancellationTokenSource();
        var waiting = _one.ReserveAsync(2 * Bytes, Stall, _time, leaving.Token).AsTask();

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        all!.Dispose();
        Assert.NotNull(_one.TryReserve(2 * Bytes));
    }

    [Fact]
    public async Task A_large_frame_stays_with_its_sender_until_there_is_room()
    {
        var taken = _one.TryReserve(2 * Bytes)!;
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 4096, resumeWriterThreshold: 2048));
        var frame = Frame(Bytes);
        var sending = pipe.Writer.WriteAsync(frame).AsTask();
        var reading = ReadAsync(pipe.Reader);
        _time.Advance(Stall - TimeSpan.FromSeconds(1));
        Assert.False(reading.IsCompleted || sending.IsCompleted);

        taken.Dispose();

        await sending;
        var read = await reading;
        Assert.True(read.IsComplete, read.Detail);
        Assert.Null(_one.TryReserve(2 * Bytes));
        read.Room!.Dispose();
        Assert.NotNull(_one.TryReserve(2 * Bytes));
    }

    [Fact]
    public async Task A_frame_that_finds_no_room_is_given_up()
    {
        using var taken = _one.TryReserve(2 * Bytes);
        var pipe = new Pipe(Inline);
        var reading = ReadAsync(pipe.Reader);
        await pipe.Writer.WriteAsync(Frame(Bytes).AsMemory(0, 40_000));

        _time.Advance(Stall);

        var read = await reading;
        Assert.Equal(FrameOutcome.NoRoom, read.Outcome);
        Assert.Contains($"no room for {Bytes} bytes", read.Detail);
    }

    [Fact]
    public async Task A_message_of_which_little_is_kept_keeps_no_room()
    {
        var pipe = new Pipe(Inline);
        var parser = RpcRequest.Parser.WithDiscardUnknownFields(true);
        var reading = FrameReader.ReadAsync(
            pipe.Reader, parser, FrameLimits.Default with { Share = _one }, _time, default).AsTask();
        await pipe.Writer.WriteAsync(Frame(Bytes));
        var read = await reading;
        Assert.True(read.IsComplete);
        Assert.Null(read.Room);
        Assert.NotNull(_one.TryReserve(2 * Bytes));
    }

    [Fact]
    public async Task A_small_frame_needs_no_room()
    {
        using var taken = _one.TryReserve(2 * Bytes);
        var pipe = new Pipe(Inline);
        await pipe.Writer.WriteAsync(Frame(FrameBudget.FreeBytes));
        var read = await ReadAsync(pipe.Reader);
        Assert.True(read.IsComplete);
        Assert.Null(read.Room);
    }

    [Theory]
    [InlineData(FrameOutcome.Truncated)]
    [InlineData(FrameOutcome.Stalled)]
    [InlineData(FrameOutcome.Malformed)]
    public async Task Whatever_ends_a_frame_early_gives_its_room_back(FrameOutcome outcome)
    {
        var pipe = new Pipe(Inline);
        var reading = ReadAsync(pipe.Reader);
        var frame = Frame(2 * Bytes, lacking: 1);
        await pipe.Writer.WriteAsync(frame.AsMemory(0, 40_000));
        Assert.Null(_one.TryReserve(1));
        if (outcome == FrameOutcome.Truncated)
            pipe.Writer.Complete(new IOException("reset by peer"));
        else if (outcome == FrameOutcome.Stalled)
            _time.Advance(Stall);
        else
            await pipe.Writer.WriteAsync(frame.AsMemory(40_000));

        Assert.Equal(outcome, (await reading).Outcome);
        Assert.NotNull(_one.TryReserve(2 * Bytes));
    }

    [Fact]
    public async Task A_cancelled_reading_gives_its_room_back()
    {
        using var cancel = new CancellationTokenSource();
        var pipe = new Pipe(Inline);
        await pipe.Writer.WriteAsync(Frame(2 * Bytes).AsMemory(0, 40_000));
        var reading = ReadAsync(pipe.Reader, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        Assert.NotNull(_one.TryReserve(2 * Bytes));
    }

    [Fact]
    public async Task A_drip_keeps_its_room_no_longer_than_its_length_takes_at_the_slowest_rate()
    {
        var pipe = new Pipe(Inline);
        var limits = FrameLimits.Default with { Share = _one, BytesPerSecondMin = Bytes / 60 };
        var reading = FrameReader.ReadAsync(pipe.Reader, RpcRequest.Parser, limits, _time, default).AsTask();
        await pipe.Writer.WriteAsync(Frame(Bytes).AsMemory(0, 40_000));
        for (var passed = 0; passed < 85; passed += 5)
        {
            _time.Advance(TimeSpan.FromSeconds(5));
            Assert.False(reading.IsCompleted);
            await pipe.Writer.WriteAsync(new byte[1]);
        }

        _time.Advance(TimeSpan.FromSeconds(6));

        Assert.Equal(FrameOutcome.Stalled, (await reading).Outcome);
        Assert.NotNull(_one.TryReserve(2 * Bytes));
    }

    private Task<IDisposable?> ReserveAsync(FrameShare share, long bytes) =>
        share.ReserveAsync(bytes, Stall, _time, default).AsTask();

    private Task<FrameRead<RpcRequest>> ReadAsync(PipeReader input, CancellationToken ct = default) =>
        FrameReader.ReadAsync(
            input, RpcRequest.Parser, FrameLimits.Default with { Share = _one }, _time, ct).AsTask();

    // An unknown field that fills the payload, or would fill a longer one.
    private static byte[] Frame(int payload, int lacking = 0)
    {
        const int headerBytes = 6, tagBytes = 2, lengthBytes = 4;
        var frame = new byte[headerBytes + payload];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload);
        var length = payload - tagBytes - lengthBytes + lacking;
        byte[] start =
        [
            0, 1, 0xfa, 0x07, (byte)(length | 0x80), (byte)((length >> 7) | 0x80), (byte)((length >> 14) | 0x80),
            (byte)(length >> 21),
        ];
        start.CopyTo(frame, 4);
        return frame;
    }
}
