using Runtara.Edge.Tests.Harness;
using Runtara.Protocol;
using Runtara.Protocol.Environments;
using Runtara.Quic;

namespace Runtara.Edge.Tests;

/// <summary>What a QUIC server does with its clients when it stops.</summary>
public abstract class QuicServerContract(EdgeHost edge)
{
    private static readonly TimeSpan Within = TimeSpan.FromSeconds(30);
    private static readonly byte[] Image = Executables.OfSize(40_000);

    private async Task<(QuicServer Server, QuicClient<RpcRequest, RpcResponse> Client)> ServeAsync(TimeSpan grace)
    {
        var server = await edge.NewEnvironmentServerAsync(edge.Options with { StopGrace = grace });
        server.Start();
        return (server, new(server.Listener.LocalEndPoint, RpcResponse.Parser));
    }

    // The first half of an upload, and the answer to another request: what was sent before is being served by then.
    private static async Task<QuicStream> BeginUploadAsync(QuicClient<RpcRequest, RpcResponse> client, string tenant)
    {
        var stream = await client.OpenAsync();
        FrameWriter.Write(stream.Output, FrameType.Request, new RpcRequest
        {
            RegisterImageStream = new() { TenantId = tenant, Name = "n", BinarySize = (ulong)Image.Length },
        });
        await stream.Output.WriteAsync(Image.AsMemory(0, Image.Length / 2));
        Assert.True((await client.CallAsync(new RpcRequest { HealthCheck = new() }))!.HealthCheck.Healthy);
        return stream;
    }

    [Fact]
    public async Task A_request_under_way_is_answered_while_new_ones_are_refused()
    {
        var (server, client) = await ServeAsync(Within);
        await using var _ = client;
        await using var upload = await BeginUploadAsync(client, edge.NewName("stopping"));
        var stopping = server.DisposeAsync().AsTask();

        await Assert.ThrowsAsync<QuicException>(async () => await QuicConnection.ConnectAsync(
            new QuicClientOptions { Remote = server.Listener.LocalEndPoint, Trust = QuicTrust.AcceptAny }));
        await using var late = await client.OpenAsync();
        FrameWriter.Write(late.Output, FrameType.Request, new RpcRequest { HealthCheck = new() });
        await late.Output.CompleteAsync();
        await Assert.ThrowsAsync<QuicStreamResetException>(async () => await late.Input.ReadAsync());
        Assert.False(stopping.IsCompleted);

        await upload.Output.WriteAsync(Image.AsMemory(Image.Length / 2));
        await upload.Output.CompleteAsync();
        var answer = await client.ReadAsync(upload);
        Assert.True(answer!.RegisterImage.Success, answer.RegisterImage.Error);
        await stopping.WaitAsync(Within / 2);
    }

    [Fact]
    public async Task A_request_that_outlasts_the_grace_is_cancelled()
    {
        var tenant = edge.NewName("outlasting");
        var (server, client) = await ServeAsync(TimeSpan.FromMilliseconds(200));
        await using var _ = client;
        await using var upload = await BeginUploadAsync(client, tenant);
        await server.DisposeAsync().AsTask().WaitAsync(Within);
        await Assert.ThrowsAnyAsync<IOException>(async () => await upload.Input.ReadAsync());
        var images = await edge.Environment.CallAsync(new RpcRequest { ListImages = new() { TenantId = tenant } });
        Assert.Equal(0u, images!.ListImages.TotalCount);
    }

    [Fact]
    public async Task A_server_without_requests_stops_without_waiting_for_the_grace()
    {
        var (server, client) = await ServeAsync(TimeSpan.FromHours(1));
        await using var _ = client;
        Assert.True((await client.CallAsync(new RpcRequest { HealthCheck = new() }))!.HealthCheck.Healthy);
        await server.DisposeAsync().AsTask().WaitAsync(Within);
    }
}

/// <inheritdoc />
[Collection(EdgeCollection.Name)]
public sealed class QuicServerTests(EdgeHost edge) : QuicServerContract(edge);

/// <inheritdoc />
[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresQuicServerTests(PostgresEdgeHost edge) : QuicServerContract(edge);
