using System.IO.Pipelines;
using Microsoft.Extensions.Logging;
using Runtara.Protocol;
using Runtara.Quic;
using Wire = Runtara.Protocol.Environments;

namespace Runtara.Edge.Environments;

/// <summary>The environment protocol over QUIC: one request and one reply on each stream.</summary>
public sealed class EnvironmentQuicServer(
    QuicListener listener, EnvironmentRequests requests, EdgeOptions options, TimeProvider time, ILogger log)
    : QuicServer(listener, "environment", options.StopGrace, time, log)
{
    /// <inheritdoc />
    protected override async Task ServeAsync(QuicStream stream, object? connection, CancellationToken cancellation)
    {
        var read = await FrameReader.ReadAsync(
            stream.Input, Wire.RpcRequest.Parser, options.Frames with { StallBeforeFirstByte = true }, Time,
            cancellation);
        if (!read.IsComplete)
        {
            Log.Unreadable(Protocol, read.Outcome, read.Detail);
            return;
        }
        var response = read.Message.RequestCase == Wire.RpcRequest.RequestOneofCase.RegisterImageStream
            ? await requests.RegisterStreamAsync(read.Message.RegisterImageStream, stream.Input, cancellation)
            : await requests.HandleAsync(read.Message, cancellation);
        Replies.Write(
            stream.Output, response, options,
            text => EnvironmentRequests.Error(EnvironmentRequests.CodeOf(read.Message.RequestCase), text));
        await stream.Output.FlushAsync(cancellation);
    }
}
