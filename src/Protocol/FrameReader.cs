using System.Buffers;
using System.IO.Pipelines;
using Google.Protobuf;

namespace Runtara.Protocol;

/// <summary>Reads frames. Source: environment-protocol §1.3.</summary>
public static class FrameReader
{
    /// <summary>
    /// Reads one frame and decodes its payload. Whatever the peer sends ends in an outcome, not in an exception.
    /// Memory follows the bytes that arrive, never the length announced. Bytes after the frame stay in the pipe.
    /// After any outcome but <see cref="FrameOutcome.Complete"/> the position in the pipe means nothing: drop it.
    /// </summary>
    /// <typeparam name="T">Message expected.</typeparam>
    /// <param name="input">Where the bytes come from. Not completed by this method.</param>
    /// <param name="parser">Parser of <typeparamref name="T"/>.</param>
    /// <param name="limits">What to accept.</param>
    /// <param name="time">Clock of <see cref="FrameLimits.StallTimeout"/>; untouched when the frame is there.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="OperationCanceledException"><paramref name="ct"/>, or the pipe's pending read was cancelled.
    /// </exception>
    public static ValueTask<FrameRead<T>> ReadAsync<T>(
        PipeReader input,
        MessageParser<T> parser,
        FrameLimits limits,
        TimeProvider time,
        CancellationToken ct)
        where T : class, IMessage<T>
    {
        // Pipes complete with the error of their transport, and TryRead throws it just as ReadAsync does.
        try
        {
            if (!input.TryRead(out var result))
                return new FrameReading<T>(input, parser, limits, time, ct).RunAsync();

            var buffer = result.Buffer;
            if (!result.IsCanceled && FrameHeader.TryRead(buffer, out var header)
                && header.Check(limits) == FrameOutcome.Complete
                && buffer.Length >= FrameHeader.Bytes + header.PayloadBytes)
            {
                var payload = buffer.Slice(FrameHeader.Bytes, header.PayloadBytes);
                var read = Parse(parser, header.Type, payload);
                input.AdvanceTo(payload.End);
                return new ValueTask<FrameRead<T>>(read);
            }

            return new FrameReading<T>(input, parser, limits, time, ct).RunAsync(result);
        }
        catch (IOException broken)
        {
            var read = new FrameRead<T>(FrameOutcome.Truncated, default, null, broken.Message);
            return new ValueTask<FrameRead<T>>(read);
        }
    }

    internal static FrameRead<T> Parse<T>(MessageParser<T> parser, FrameType type, in ReadOnlySequence<byte> payload)
        where T : class, IMessage<T>
    {
        try
        {
            return new FrameRead<T>(FrameOutcome.Complete, type, parser.ParseFrom(payload), null);
        }
        catch (InvalidProtocolBufferException malformed)
        {
            return new FrameRead<T>(FrameOutcome.Malformed, type, null, malformed.Message);
        }
    }
}
