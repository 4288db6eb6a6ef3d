using System.IO.Pipelines;
using System.Net;
using Google.Protobuf;
using Runtara.Protocol;
using Runtara.Quic;

namespace Runtara.Edge.Tests.Harness;

/// <summary>One QUIC connection that speaks one of the protocols, bare.</summary>
internal sealed class QuicClient<TRequest, TResponse>(IPEndPoint server, MessageParser<TResponse> parser)
    : IAsyncDisposable
    where TRequest : IMessage<TRequest>
    where TResponse : class, IMessage<TResponse>
{
    private readonly SemaphoreSlim _connecting = new(1);
    private QuicConnection? _connection;

    /// <summary>The reply; null when the stream ended with zero bytes.</summary>
    public async Task<TResponse?> CallAsync(TRequest request, ReadOnlyMemory<byte> after = default)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await using var stream = await OpenAsync(deadline.Token);
        FrameWriter.Write(stream.Output, FrameType.Request, request);
        if (!after.IsEmpty)
            await stream.Output.WriteAsync(after, deadline.Token);
        await stream.Output.CompleteAsync();
        return await ReadAsync(stream, deadline.Token);
    }

    public async Task<TResponse?> ReadAsync(QuicStream stream, CancellationToken cancellation = default)
    {
        var read = await FrameReader.ReadAsync(
            stream.Input, parser, FrameLimits.Default, TimeProvider.System, cancellation);
        if (read.Outcome == FrameOutcome.EndOfStream)
            return null;
        Assert.True(read.IsComplete, $"{read.Outcome} {read.Detail}");
        return read.Message;
    }

    public async Task<QuicStream> OpenAsync(CancellationToken cancellation = default)
    {
        await _connecting.WaitAsync(cancellation);
        try
        {
            _connection ??= await QuicConnection.ConnectAsync(
                new QuicClientOptions { Remote = server, Trust = QuicTrust.AcceptAny }, cancellation);
        }
        finally
        {
            _connecting.Release();
        }
        return await _connection.OpenStreamAsync(cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
            await _connection.DisposeAsync();
        _connecting.Dispose();
    }
}
