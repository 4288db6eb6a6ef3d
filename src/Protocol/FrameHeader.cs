using System.Buffers;
using System.Buffers.Binary;

namespace Runtara.Protocol;

/// <summary>The six bytes before a payload.</summary>
internal readonly record struct FrameHeader(uint PayloadBytes, FrameType Type)
{
    internal const int Bytes = 6;

    internal static bool TryRead(in ReadOnlySequence<byte> buffer, out FrameHeader header)
    {
        Span<byte> bytes = stackalloc byte[Bytes];
        if (buffer.Length < Bytes)
        {
            header = default;
            return false;
        }

        buffer.Slice(0, Bytes).CopyTo(bytes);
        header = new FrameHeader(
            BinaryPrimitives.ReadUInt32BigEndian(bytes),
            (FrameType)BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]));
        return true;
    }

    /// <summary>What is wrong with the header, in the order of environment-protocol §1.3: type before length.</summary>
    internal FrameOutcome Check(FrameLimits limits) => this switch
    {
        { Type: < FrameType.Request or > FrameType.Error } => FrameOutcome.BadType,
        { PayloadBytes: var n } when n > (uint)limits.PayloadBytesMax => FrameOutcome.TooLarge,
        _ => FrameOutcome.Complete,
    };
}
