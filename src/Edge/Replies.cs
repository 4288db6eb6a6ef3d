using System.Buffers;
using Google.Protobuf;
using Runtara.Protocol;

namespace Runtara.Edge;

/// <summary>The way of a reply into its frame.</summary>
internal static class Replies
{
    /// <summary>Room in a frame for what surrounds large fields, in bytes.</summary>
    public const int Reserve = 1024;

    /// <summary>Writes the reply or, when no frame holds it, the error that says so.</summary>
    public static void Write(
        IBufferWriter<byte> output, IMessage reply, EdgeOptions options, Func<string, IMessage> error)
    {
        try
        {
            FrameWriter.Write(output, FrameType.Response, reply, options.Frames.PayloadBytesMax);
        }
        catch (FrameTooLargeException e)
        {
            FrameWriter.Write(output, FrameType.Response, error(
                $"The reply has {e.PayloadBytes} bytes, the limit is {e.PayloadBytesMax} (edge.frame-bytes-max)"));
        }
    }

    /// <summary>What stands in a status for an output that no frame holds.</summary>
    public static string OutputLeftOut(int bytes) =>
        $"The output has {bytes} bytes, more than a frame may have (edge.frame-bytes-max)";

    /// <summary>As many of the first rows as a frame holds together; at least one, if any.</summary>
    public static IEnumerable<T> Fitting<T>(IEnumerable<T> rows, EdgeOptions options)
        where T : IMessage
    {
        long left = options.Frames.PayloadBytesMax - Reserve;
        var isFirst = true;
        foreach (var row in rows)
        {
            var size = row.CalculateSize();
            // Before each row stand its tag and its length.
            left -= 1 + CodedOutputStream.ComputeLengthSize(size) + size;
            if (left < 0 && !isFirst)
                yield break;
            isFirst = false;
            yield return row;
        }
    }
}
