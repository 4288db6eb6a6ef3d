using System.Buffers;
using System.IO.Pipelines;
using Google.Protobuf;
using Runtara.Protocol.Instances;

namespace Runtara.Protocol.Tests;

public sealed class FrameWriterTests
{
    [Fact]
    public void An_empty_message_is_six_bytes()
    {
        var output = new ArrayBufferWriter<byte>();
        FrameWriter.Write(output, FrameType.Response, new RpcResponse());
        Assert.Equal("000000000002", Convert.ToHexString(output.WrittenSpan));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(16 * 1024)]
    [InlineData(5_000_000)]
    public async Task What_is_written_is_read(int stateBytes)
    {
        var message = Response(stateBytes);
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        FrameWriter.Write(pipe.Writer, FrameType.Response, message);
        await pipe.Writer.FlushAsync();

        var read = await FrameReader.ReadAsync(
            pipe.Reader, RpcResponse.Parser, FrameLimits.Default, TimeProvider.System, default);

        Assert.Equal(message, read.Message);
    }

    [Fact]
    public void A_message_above_the_maximum_is_refused_with_both_sizes_and_nothing_written()
    {
        var output = new ArrayBufferWriter<byte>();
        var message = Response(1000);

        var refused = Assert.Throws<FrameTooLargeException>(
            () => FrameWriter.Write(output, FrameType.Response, message, payloadBytesMax: 1000));

        Assert.Equal((message.CalculateSize(), 1000), (refused.PayloadBytes, refused.PayloadBytesMax));
        Assert.Equal(0, output.WrittenCount);
    }

    [Fact]
    public void A_message_of_exactly_the_maximum_is_written()
    {
        var output = new ArrayBufferWriter<byte>();
        var message = Response(1000);
        FrameWriter.Write(output, FrameType.Response, message, payloadBytesMax: message.CalculateSize());
        Assert.Equal(6 + message.CalculateSize(), output.WrittenCount);
    }

    private static RpcResponse Response(int stateBytes) => new()
    {
        GetCheckpoint = new GetCheckpointResponse { Found = true, State = ByteString.CopyFrom(new byte[stateBytes]) },
    };
}
