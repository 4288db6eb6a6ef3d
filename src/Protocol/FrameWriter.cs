using System.Buffers;
using System.Buffers.Binary;
using Google.Protobuf;

namespace Runtara.Protocol;

/// <summary>Writes frames. Source: environment-protocol §1.3.</summary>
public static class FrameWriter
{
    private const int ContiguousBytesMax = 16 * 1024;

    /// <summary>Writes one frame. Nothing is flushed; nothing is written when it throws.</summary>
    /// <param name="output">Where the bytes go.</param>
    /// <param name="type">Type of the frame.</param>
    /// <param name="message">Payload.</param>
    /// <param name="payloadBytesMax">Largest payload allowed, in bytes. Default 64 MiB.</param>
    /// <exception cref="FrameTooLargeException">The message takes more than <paramref name="payloadBytesMax"/>.
    /// </exception>
    public static void Write(
        IBufferWriter<byte> output,
        FrameType type,
        IMessage message,
        int payloadBytesMax = FrameLimits.ProtocolPayloadBytesMax)
    {
        var size = message.CalculateSize();
        if ((uint)size > (uint)payloadBytesMax)
            throw new FrameTooLargeException((uint)size, payloadBytesMax);

        if (size <= ContiguousBytesMax)
        {
            var frame = output.GetSpan(FrameHeader.Bytes + size)[..(FrameHeader.Bytes + size)];
            WriteHeader(frame, size, type);
            message.WriteTo(frame[FrameHeader.Bytes..]);
            output.Advance(frame.Length);
            return;
        }

        WriteHeader(output.GetSpan(FrameHeader.Bytes), size, type);
        output.Advance(FrameHeader.Bytes);
        message.WriteTo(output);
    }

    private static void WriteHeader(Span<byte> header, int size, FrameType type)
    {
        BinaryPrimitives.WriteInt32BigEndian(header, size);
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)type);
    }
}
