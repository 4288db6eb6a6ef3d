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
    /// A large frame takes room of <see cref="FrameLimits.Share"/> before it leaves the pipe; only a complete one still
    /// has it then.
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
                && buffer.Length >= FrameHeader.Bytes + header.PayloadBytes && TryReserve(limits, header, out var room))
            {
                var payload = buffer.Slice(FrameHeader.Bytes, header.PayloadBytes);
                var read = Parse(parser, header.Type, payload, room);
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

    /// <summary>Whether the frame may be read: it needs no room, or has it now.</summary>
    internal static bool TryReserve(FrameLimits limits, FrameHeader header, out IDisposable? room)
    {
        room = null;
        if (limits.Share is not { } share || header.PayloadBytes <= FrameBudget.FreeBytes)
            return true;
        room = share.TryReserve(header.PayloadBytes);
        return room is not null;
    }

    internal static FrameRead<T> Parse<T>(
        MessageParser<T> parser, FrameType type, in ReadOnlySequence<byte> payload, IDisposable? room)
        where T : class, IMessage<T>
    {
        try
        {
            var message = parser.ParseFrom(payload);
            // A parser may leave out what it does not know, and the rest may last for hours.
            if (room is not null && message.CalculateSize() <= FrameBudget.FreeBytes)
            {
                room.Dispose();
                room = null;
            }

            return new FrameRead<T>(FrameOutcome.Complete, type, message, null) { Room = room };
        }
        catch (InvalidProtocolBufferException malformed)
        {
            room?.Dispose();
            return new FrameRead<T>(FrameOutcome.Malformed, type, null, malformed.Message);
        }
        catch
        {
            room?.Dispose();
            throw;
        }
    }
}
