using System.Buffers;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Runtara.Protocol;
using Runtara.Quic;

namespace Runtara.Edge.Tests.Harness;

/// <summary>A server that answers every stream with the same bytes, once it may.</summary>
internal sealed class ReplyingServer(
    QuicListener listener, EdgeOptions options, TimeProvider time, ReadOnlyMemory<byte> reply, ILogger? log = null)
    : QuicServer(
        listener, "test", options, new FrameBudget(options.FramesBytesMax), time, log ?? NullLogger.Instance)
{
    private static readonly QuicCertificate Certificate =
        QuicCertificate.LoadOrCreateSelfSigned(Directory.CreateTempSubdirectory("runtara-reply-").FullName);

    /// <summary>A request is there.</summary>
    public TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>It may be answered.</summary>
    public TaskCompletionSource Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The stream of the last request.</summary>
    public QuicStream? Stream { get; private set; }

    /// <summary>What the listener fails with, or nothing.</summary>
    public Exception? Failure { get; init; }

    public static ValueTask<QuicListener> ListenAsync() => QuicListener.ListenAsync(
        new QuicServerOptions { Listen = new IPEndPoint(IPAddress.Loopback, 0), Certificate = Certificate });

    protected override ValueTask<QuicConnection?> NextConnectionAsync() => Failure is null
        ? base.NextConnectionAsync()
        : ValueTask.FromException<QuicConnection?>(Failure);

    protected override async Task ServeAsync(
        QuicStream stream, FrameLimits limits, object? connection, CancellationToken cancellation)
    {
        await stream.Input.ReadAsync(cancellation);
        Stream = stream;
        Asked.TrySetResult();
        await Answer.Task.WaitAsync(cancellation);
        stream.Output.Write(reply.Span);
    }
}
