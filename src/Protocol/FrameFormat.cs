using System.Diagnostics.CodeAnalysis;
using Google.Protobuf;

namespace Runtara.Protocol;

/// <summary>
/// Kind of a frame, the 16-bit number after the length. A frame is the payload length (4 bytes, big-endian), the type
/// (2 bytes, big-endian) and the protobuf payload. Source: environment-protocol §1.3.
/// </summary>
public enum FrameType : ushort
{
    /// <summary>A client asks.</summary>
    Request = 1,

    /// <summary>A server answers, also when the answer is an error.</summary>
    Response = 2,

    /// <summary>Reserved by Runtara 1.4.1; nobody sends it.</summary>
    StreamStart = 3,

    /// <summary>Reserved by Runtara 1.4.1; nobody sends it.</summary>
    StreamData = 4,

    /// <summary>Reserved by Runtara 1.4.1; nobody sends it.</summary>
    StreamEnd = 5,

    /// <summary>Known to Runtara 1.4.1 but not sent: errors travel in a <see cref="Response"/>.</summary>
    Error = 6,
}

/// <summary>How the reading of one frame ended.</summary>
public enum FrameOutcome
{
    /// <summary>A whole frame arrived and its payload decoded.</summary>
    Complete,

    /// <summary>The peer ended its side before the first byte of a frame: nothing is missing.</summary>
    EndOfStream,

    /// <summary>The type is none of <see cref="FrameType"/>. Checked before the length.</summary>
    BadType,

    /// <summary>The header announces more than <see cref="FrameLimits.PayloadBytesMax"/>.</summary>
    TooLarge,

    /// <summary>The stream ended or broke within a frame.</summary>
    Truncated,

    /// <summary>
    /// No byte came for <see cref="FrameLimits.StallTimeout"/> within a frame, or a frame that has room of a
    /// <see cref="FrameShare"/> came more slowly than <see cref="FrameLimits.BytesPerSecondMin"/>.
    /// </summary>
    Stalled,

    /// <summary><see cref="FrameLimits.Share"/> had no room for <see cref="FrameLimits.StallTimeout"/>.</summary>
    NoRoom,

    /// <summary>The payload is not the protobuf message expected, or holds a string that is not UTF-8.</summary>
    Malformed,
}

/// <summary>What a reader accepts.</summary>
public sealed record FrameLimits
{
    /// <summary>The largest payload that Runtara 1.4.1 accepts, in bytes: 64 MiB, the header not counted.</summary>
    public const int ProtocolPayloadBytesMax = 64 * 1024 * 1024;

    /// <summary>The limits of the protocol: 64 MiB, 30 s.</summary>
    public static FrameLimits Default { get; } = new();

    /// <summary>Largest payload in bytes, inclusive. Default 64 MiB.</summary>
    public int PayloadBytesMax { get; init; } = ProtocolPayloadBytesMax;

    /// <summary>Longest silence within a frame. Default 30 s; infinite for none.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Whether <see cref="StallTimeout"/> also limits the wait for the first byte. Default false: a peer that keeps a
    /// connection open between requests, or a server that thinks, is not stalled.
    /// </summary>
    public bool StallBeforeFirstByte { get; init; }

    /// <summary>
    /// Where a payload of more than <see cref="FrameBudget.FreeBytes"/> takes room before it is read. Default null: it
    /// takes none.
    /// </summary>
    public FrameShare? Share { get; init; }

    /// <summary>
    /// A payload that has room must come whole within <see cref="StallTimeout"/> and the time that it takes at this
    /// rate, so that no drip keeps it for ever. Default 64 KiB a second.
    /// </summary>
    public int BytesPerSecondMin { get; init; } = 64 * 1024;

    /// <summary>The longest that so many bytes may take; infinite when nothing stalls.</summary>
    public TimeSpan WholeWithin(long bytes) => StallTimeout == Timeout.InfiniteTimeSpan
        ? Timeout.InfiniteTimeSpan
        : StallTimeout + TimeSpan.FromSeconds((double)bytes / BytesPerSecondMin);
}

/// <summary>The result of reading one frame.</summary>
/// <typeparam name="T">Message expected in the payload.</typeparam>
/// <param name="Outcome">How it ended.</param>
/// <param name="Type">Type of the frame; 0 when the header never arrived, or what was received when bad.</param>
/// <param name="Message">The payload, when <see cref="FrameOutcome.Complete"/>.</param>
/// <param name="Detail">What was wrong, for a log, when not <see cref="FrameOutcome.Complete"/>.</param>
public readonly record struct FrameRead<T>(FrameOutcome Outcome, FrameType Type, T? Message, string? Detail)
    where T : class, IMessage<T>
{
    /// <summary>A whole frame arrived; <see cref="Message"/> is there.</summary>
    [MemberNotNullWhen(true, nameof(Message))]
    public bool IsComplete => Outcome == FrameOutcome.Complete;

    /// <summary>
    /// The room that the frame has of <see cref="FrameLimits.Share"/>, or null. Dispose of it when nothing refers to
    /// the message any more.
    /// </summary>
    public IDisposable? Room { get; init; }
}

/// <summary>A message does not fit into a frame.</summary>
/// <param name="payloadBytes">Encoded size of the message, in bytes.</param>
/// <param name="payloadBytesMax">Largest payload allowed, in bytes.</param>
public sealed class FrameTooLargeException(long payloadBytes, int payloadBytesMax) : Exception(
    $"The message takes {payloadBytes} bytes; a frame holds at most {payloadBytesMax}.")
{
    /// <summary>Encoded size of the message, in bytes.</summary>
    public long PayloadBytes { get; } = payloadBytes;

    /// <summary>Largest payload allowed, in bytes.</summary>
    public int PayloadBytesMax { get; } = payloadBytesMax;
}
