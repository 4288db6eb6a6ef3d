using System.Buffers;
using System.IO.Pipelines;
using Google.Protobuf;
using Runtara.Protocol.Instances;

namespace Runtara.Protocol.Tests;

public sealed class FrameReaderTests
{
    private static readonly RpcRequest Request = Checkpoint("state"u8.ToArray());
    private readonly Pipe _pipe =
        new(new PipeOptions(readerScheduler: PipeScheduler.Inline, useSynchronizationContext: false));

    private readonly ManualTime _time = new();

    [Fact]
    public async Task A_whole_frame_is_read_at_once_without_a_timer()
    {
        await SendAsync(Frame(Request));

        var reading = ReadAsync();

        Assert.True(reading.IsCompletedSuccessfully);
        var read = await reading;
        Assert.Equal((FrameOutcome.Complete, FrameType.Request), (read.Outcome, read.Type));
        Assert.Equal(Request, read.Message);
        Assert.Equal(0, _time.TimersCreated);
    }

    [Fact]
    public async Task A_frame_that_comes_byte_by_byte_is_read()
    {
        var reading = ReadAsync().AsTask();
        foreach (var one in Frame(Request))
        {
            Assert.False(reading.IsCompleted);
            await SendAsync([one]);
        }

        Assert.Equal(Request, (await reading).Message);
    }

    [Fact]
    public async Task A_frame_larger_than_the_flow_control_window_is_read()
    {
        var small = new Pipe(new PipeOptions(pauseWriterThreshold: 4096, resumeWriterThreshold: 2048));
        var large = Checkpoint(new byte[3_000_000]);
        var sending = small.Writer.WriteAsync(Frame(large)).AsTask();

        var read = await FrameReader.ReadAsync(small.Reader, RpcRequest.Parser, FrameLimits.Default, _time, default);

        await sending;
        Assert.Equal(large, read.Message);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Bytes_after_the_frame_stay_in_the_pipe(bool arrivesInTwoPieces)
    {
        var frame = Frame(Request);
        byte[] bytes = [.. frame, 1, 2, 3];
        var cut = arrivesInTwoPieces ? 10 : bytes.Length;
        await SendAsync(bytes[..cut]);
        var reading = ReadAsync();
        await SendAsync(bytes[cut..]);
        Assert.True((await reading).IsComplete);

        var rest = await _pipe.Reader.ReadAsync();

        Assert.Equal([1, 2, 3], rest.Buffer.ToArray());
    }

    [Fact]
    public async Task Frames_follow_one_another()
    {
        await SendAsync([.. Frame(Request), .. Frame(new RpcRequest())]);
        _pipe.Writer.Complete();

        Assert.Equal(Request, (await ReadAsync()).Message);
        Assert.Equal(new RpcRequest(), (await ReadAsync()).Message);
        Assert.Equal(FrameOutcome.EndOfStream, (await ReadAsync()).Outcome);
    }

    [Theory]
    [InlineData("000000000000", FrameOutcome.BadType)]
    [InlineData("000000000007", FrameOutcome.BadType)]
    [InlineData("00000000ffff", FrameOutcome.BadType)]
    [InlineData("ffffffff0007", FrameOutcome.BadType)]
    [InlineData("ffffffff0001", FrameOutcome.TooLarge)]
    [InlineData("040000010001", FrameOutcome.TooLarge)]
    [InlineData("", FrameOutcome.EndOfStream)]
    [InlineData("00", FrameOutcome.Truncated)]
    [InlineData("0000000000", FrameOutcome.Truncated)]
    [InlineData("000000010001", FrameOutcome.Truncated)]
    [InlineData("0400000000010a", FrameOutcome.Truncated)]
    [InlineData("0000000100010a", FrameOutcome.Malformed)]
    [InlineData("0000000500010a030a01ff", FrameOutcome.Malformed)]
    [InlineData("00000000000a", FrameOutcome.BadType)]
    [InlineData("000000000006", FrameOutcome.Complete)]
    public async Task Every_ending_has_its_outcome(string hex, FrameOutcome expected)
    {
        await SendAsync(Convert.FromHexString(hex));
        _pipe.Writer.Complete();

        var read = await ReadAsync();

        Assert.Equal(expected, read.Outcome);
        Assert.Equal(expected == FrameOutcome.Complete, read.Detail is null);
    }

    [Theory]
    [InlineData(0, FrameOutcome.Complete)]
    [InlineData(1, FrameOutcome.TooLarge)]
    public async Task A_frame_of_exactly_the_maximum_is_read_and_a_larger_one_is_not(int less, FrameOutcome outcome)
    {
        await SendAsync(Frame(Request));
        var limits = new FrameLimits { PayloadBytesMax = Request.CalculateSize() - less };

        var read = await FrameReader.ReadAsync(_pipe.Reader, RpcRequest.Parser, limits, _time, default);

        Assert.Equal(outcome, read.Outcome);
    }

    [Fact]
    public async Task A_broken_transport_truncates_the_frame()
    {
        await SendAsync(Frame(Request)[..9]);
        var reading = ReadAsync();
        _pipe.Writer.Complete(new IOException("reset by peer"));

        var read = await reading;

        Assert.Equal((FrameOutcome.Truncated, "reset by peer"), (read.Outcome, read.Detail));
        Assert.Equal(FrameOutcome.Truncated, (await ReadAsync()).Outcome);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(6)]
    [InlineData(9)]
    public async Task Silence_within_a_frame_stalls_it(int bytes)
    {
        await SendAsync(Frame(Request)[..bytes]);
        var reading = ReadAsync();

        _time.Advance(TimeSpan.FromSeconds(29));
        Assert.False(reading.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(FrameOutcome.Stalled, (await reading).Outcome);
    }

    [Fact]
    public async Task Every_byte_starts_the_stall_timeout_anew()
    {
        var reading = ReadAsync();
        foreach (var one in Frame(Request))
        {
            _time.Advance(TimeSpan.FromSeconds(29));
            await SendAsync([one]);
        }

        Assert.True((await reading).IsComplete);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Waiting_for_the_first_byte_is_a_stall_only_when_asked_for(bool stallBeforeFirstByte)
    {
        var limits = new FrameLimits { StallBeforeFirstByte = stallBeforeFirstByte };
        var reading = FrameReader.ReadAsync(_pipe.Reader, RpcRequest.Parser, limits, _time, default);

        _time.Advance(TimeSpan.FromHours(1));

        Assert.Equal(stallBeforeFirstByte, reading.IsCompleted);
        _pipe.Writer.Complete();
        var expected = stallBeforeFirstByte ? FrameOutcome.Stalled : FrameOutcome.EndOfStream;
        Assert.Equal(expected, (await reading).Outcome);
    }

    [Fact]
    public async Task Cancellation_ends_the_wait_and_is_not_a_stall()
    {
        using var cancel = new CancellationTokenSource();
        await SendAsync(Frame(Request)[..9]);
        var reading = FrameReader.ReadAsync(
            _pipe.Reader, RpcRequest.Parser, FrameLimits.Default, _time, cancel.Token);

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await reading);
    }

    private ValueTask<FrameRead<RpcRequest>> ReadAsync() =>
        FrameReader.ReadAsync(_pipe.Reader, RpcRequest.Parser, FrameLimits.Default, _time, default);

    private async Task SendAsync(byte[] bytes) => await _pipe.Writer.WriteAsync(bytes);

    private static RpcRequest Checkpoint(byte[] state) => new()
    {
        Checkpoint = new CheckpointRequest { InstanceId = "i", CheckpointId = "k", State = ByteString.CopyFrom(state) },
    };

    private static byte[] Frame(RpcRequest request)
    {
        var output = new ArrayBufferWriter<byte>();
        FrameWriter.Write(output, FrameType.Request, request);
        return output.WrittenSpan.ToArray();
    }
}
