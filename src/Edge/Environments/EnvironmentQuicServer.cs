using Google.Protobuf;
using Microsoft.Extensions.Logging;
using Runtara.Protocol;
using Runtara.Quic;
using Wire = Runtara.Protocol.Environments;

namespace Runtara.Edge.Environments;

/// <summary>The environment protocol over QUIC: one request and one reply on each stream.</summary>
public sealed class EnvironmentQuicServer(
    QuicListener listener, EnvironmentRequests requests, EdgeOptions options, FrameBudget frames,
    TimeProvider time, ILogger log)
    : QuicServer(listener, "environment", options, frames, time, log)
{
    // What no request has would be kept for as long as the request lasts.
    private static readonly MessageParser<Wire.RpcRequest> Parser =
        Wire.RpcRequest.Parser.WithDiscardUnknownFields(true);

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
        var response = read.Message.RequestCase == Wire.RpcRequest.RequestOneofCase.RegisterImageStream
            ? await requests.RegisterStreamAsync(read.Message.RegisterImageStream, stream.Input, cancellation)
            : await requests.HandleAsync(read.Message, cancellation);
        Replies.Write(
            stream.Output, response, Options,
            text => EnvironmentRequests.Error(EnvironmentRequests.CodeOf(read.Message.RequestCase), text));
    }
}
