using System.Buffers.Binary;
using System.IO.Pipelines;
using CsCheck;
using Runtara.Protocol.Environments;

namespace Runtara.Protocol.Tests;

public sealed class FrameFuzzTests
{
    private static readonly PipeOptions Inline =
        new(readerScheduler: PipeScheduler.Inline, pauseWriterThreshold: 0, useSynchronizationContext: false);

    private static readonly Gen<byte[]> Noise = Gen.Byte.Array[0, 200];

    private static readonly Gen<byte[]> Plausible = Gen.Select(
        Gen.Int[-2, 300], Gen.Int[0, 8], Noise, (n, type, body) =>
        {
            var bytes = new byte[6 + body.Length];
            BinaryPrimitives.WriteInt32BigEndian(bytes, n);
            BinaryPrimitives.WriteInt16BigEndian(bytes.AsSpan(4), (short)type);
            body.CopyTo(bytes, 6);
            return bytes;
        });

    // A valid frame with one byte changed comes further into the parser than noise does.
    private static readonly Gen<byte[]> Mutated = Gen.Select(
        Gen.Int[0, WireVectors.All.Count - 1], Gen.Int[0, 10_000], Gen.Byte, (index, at, value) =>
        {
            var bytes = Convert.FromHexString(WireVectors.All[index].FrameHex);
            bytes[at % bytes.Length] = value;
            return bytes;
        });

    [Fact]
    public void Noise_in_any_pieces_ends_in_an_outcome() => Gen
        .Select(Gen.OneOf(Noise, Plausible, Mutated), Gen.Int[1, 64])
        .Sample((bytes, piece) => Enum.IsDefined(Feed(bytes, piece).Outcome), iter: 20_000);

    [Fact]
    public void Pieces_do_not_change_the_outcome() => Gen
        .Select(Gen.OneOf(Plausible, Mutated), Gen.Int[1, 16])
        .Sample((bytes, piece) => Feed(bytes, piece).Outcome == Feed(bytes, bytes.Length).Outcome, iter: 5_000);

    [Theory]
    [InlineData(0)]
    [InlineData(1_000)]
    [InlineData(300_000)]
    public void Memory_follows_the_bytes_received_and_not_the_header(int received)
    {
        var bytes = new byte[6 + received];
        BinaryPrimitives.WriteInt32BigEndian(bytes, FrameLimits.ProtocolPayloadBytesMax);
        bytes[5] = 1;
        Feed(bytes, 1_000);

        var before = GC.GetAllocatedBytesForCurrentThread();
        var read = Feed(bytes, 1_000);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal(FrameOutcome.Truncated, read.Outcome);
        Assert.InRange(allocated, 0, (2 * received) + 200_000);
    }

    private static FrameRead<RpcRequest> Feed(byte[] bytes, int piece)
    {
        var pipe = new Pipe(Inline);
        var reading = FrameReader.ReadAsync(
            pipe.Reader, RpcRequest.Parser, FrameLimits.Default, TimeProvider.System, default).AsTask();
        for (var at = 0; at < bytes.Length && !reading.IsCompleted; at += piece)
        {
            var memory = bytes.AsMemory(at, Math.Min(piece, bytes.Length - at));
            pipe.Writer.WriteAsync(memory).AsTask().GetAwaiter().GetResult();
        }

        pipe.Writer.Complete();
        return reading.GetAwaiter().GetResult();
    }
}
