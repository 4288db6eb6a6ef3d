using System.Net.Sockets;
using Runtara.Protocol;

namespace Runtara.Edge.Instances;

/// <summary>
/// A connection whose peer must take replies as fast as frames must come; else it is closed, and with it goes what is
/// kept of the reply.
/// </summary>
internal sealed class ReplyStream(Socket socket, FrameLimits limits, TimeProvider time) : NetworkStream(socket)
{
    private const int PieceBytes = 64 * 1024;

    private TimeSpan _wholeWithin = Timeout.InfiniteTimeSpan;
    private long _since;

    /// <summary>A reply of so many bytes follows.</summary>
    public void Begin(long bytes) => (_wholeWithin, _since) = (limits.WholeWithin(bytes), time.GetTimestamp());

    /// <inheritdoc />
    public override async ValueTask WriteAsync(
        ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        for (var left = buffer; !left.IsEmpty;)
        {
            var piece = left[..Math.Min(left.Length, PieceBytes)];
            left = left[piece.Length..];
            var sending = base.WriteAsync(piece, cancellationToken);
            try
            {
                if (sending.IsCompleted)
                    await sending;
                else
                    await sending.AsTask().WaitAsync(Patience(), time, cancellationToken);
            }
            catch (TimeoutException)
            {
                Socket.Dispose();
                throw new IOException("the peer does not take a reply");
            }
        }
    }

    private TimeSpan Patience()
    {
        if (_wholeWithin == Timeout.InfiniteTimeSpan)
            return _wholeWithin;
        var left = _wholeWithin - time.GetElapsedTime(_since);
        return TimeSpan.FromTicks(Math.Clamp(left.Ticks, 0, limits.StallTimeout.Ticks));
    }
}
