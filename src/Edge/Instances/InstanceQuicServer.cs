using Google.Protobuf;
using Microsoft.Extensions.Logging;
using Runtara.Protocol;
using Runtara.Quic;
using Wire = Runtara.Protocol.Instances;

namespace Runtara.Edge.Instances;

/// <summary>The instance protocol over QUIC: one request and one reply on each stream.</summary>
public sealed class InstanceQuicServer(
    QuicListener listener, InstanceRequests requests, EdgeOptions options, FrameBudget frames,
    TimeProvider time, ILogger log)
    : QuicServer(listener, "instance", options, frames, time, log)
{
    // What no request has would be kept for as long as the request lasts.
    private static readonly MessageParser<Wire.RpcRequest> Parser =
        Wire.RpcRequest.Parser.WithDiscardUnknownFields(true);

    /// <inheritdoc />
    protected override object NewConnection() => new WorkflowOrigin.Connection();

    /// <inheritdoc />
    protected override async Task ServeAsync(
        QuicStream stream, FrameLimits limits, object? connection, CancellationToken cancellation)
    {
        var read = await FrameReader.ReadAsync(stream.Input, Parser, limits, Time, cancellation);
        using var room = read.Room;
        if (!read.IsComplete)
        {
            Log.Unreadable(Protocol, read.Outcome, read.Detail);
            return;
        }
        // A client may drop its receive side at once (STOP_SENDING): that cancels nothing.
        var response = await requests.HandleAsync(read.Message, (WorkflowOrigin)connection!, cancellation);
        if (response is null)
            return;
        if (InstanceRequests.IsSilent(read.Message))
        {
            Log.NotCarriedOut(response.Error.Message);
            return;
        }
        Replies.Write(
            stream.Output, response, Options,
            text => InstanceRequests.Error(InstanceRequests.CodeOf(read.Message.RequestCase), text));
    }
}
