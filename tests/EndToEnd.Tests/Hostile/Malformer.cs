using System.Buffers.Binary;
using Runtara.Protocol;

namespace Runtara.EndToEnd.Tests.Hostile;

/// <summary>Everything that is wrong with a stream, one kind after the other.</summary>
internal sealed class Malformer(Random random, IReadOnlyList<byte[]> validFrames)
{
    private const int HeaderBytes = 6;

    /// <summary>How many kinds <see cref="Next"/> knows.</summary>
    public const int Kinds = 7;

    /// <summary>The next input of a kind, 0 to <see cref="Kinds"/> - 1.</summary>
    public HostileInput Next(int kind) => kind switch
    {
        0 => new(Noise(random.Next(1, 2000)), StreamEnd.Fin),
        1 => new(Truncated(), StreamEnd.Fin),
        2 => new(Frame(40, (ushort)random.Next(7, 65536), Noise(40)), StreamEnd.Fin),
        3 => new(
            Frame((uint)random.NextInt64(FrameLimits.ProtocolPayloadBytesMax + 1L, uint.MaxValue), 1, Noise(100)),
            StreamEnd.Fin),
        4 => new(
            Frame((uint)random.Next(5000, FrameLimits.ProtocolPayloadBytesMax), 1, Noise(random.Next(5000))),
            StreamEnd.Reset),
        5 => new(Mutated(), random.Next(4) == 0 ? StreamEnd.Reset : StreamEnd.Fin),
        6 => new(Truncated(), StreamEnd.Open),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    private byte[] Valid() => validFrames[random.Next(validFrames.Count)];

    private byte[] Truncated()
    {
        var frame = Valid();
        return frame[..random.Next(1, frame.Length)];
    }

    // The header stays, so that the protobuf parser and what comes after it are reached.
    private byte[] Mutated()
    {
        var frame = (byte[])Valid().Clone();
        for (var changes = random.Next(1, 6); changes > 0 && frame.Length > HeaderBytes; changes--)
            frame[random.Next(HeaderBytes, frame.Length)] = (byte)random.Next(256);
        return frame;
    }

    private byte[] Noise(int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    private static byte[] Frame(uint announced, ushort type, byte[] body)
    {
        var frame = new byte[HeaderBytes + body.Length];
        BinaryPrimitives.WriteUInt32BigEndian(frame, announced);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(4), type);
        body.CopyTo(frame, HeaderBytes);
        return frame;
    }
}
