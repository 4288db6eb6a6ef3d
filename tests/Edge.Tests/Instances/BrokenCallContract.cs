using System.IO.Pipelines;
using System.Net.Sockets;
using Runtara.Edge.Instances;
using Runtara.Edge.Tests.Harness;
using Runtara.Persistence;
using Runtara.Protocol;
using Runtara.Protocol.Instances;
using Environment = Runtara.Protocol.Environments;

namespace Runtara.Edge.Tests.Instances;

/// <summary>A call whose caller leaves, or whose database does not answer as it should.</summary>
public abstract class BrokenCallContract(EdgeHost edge)
{
    private const int Events = 300;

    [Fact]
    public async Task A_batch_is_carried_out_to_its_end_though_its_door_has_closed()
    {
        var id = edge.NewName();
        var path = Path.Combine(edge.DirectoryPath, $"{edge.NewName("s")}.sock");
        var door = await edge.Door.OpenAsync(new(id), new(EdgeHost.Tenant), new(0), path, default);
        await WorkflowClient.CallSocketAsync(path, Registration(id));
        using (var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
            await using var stream = new NetworkStream(socket);
            var output = PipeWriter.Create(stream);
            FrameWriter.Write(output, FrameType.Request, Batch(id));
            await output.FlushAsync();
            await Eventually.IsAsync(() => CountEventsAsync(id), count => count > 0);
        }
        await door.DisposeAsync();
        await AssertCompleteAsync(id);
    }

    [Fact]
    public async Task A_batch_is_carried_out_to_its_end_though_its_connection_has_gone()
    {
        var id = edge.NewName();
        await using (var client = edge.InstanceClient())
        {
            await client.CallAsync(Registration(id));
            var stream = await client.OpenAsync();
            FrameWriter.Write(stream.Output, FrameType.Request, Batch(id));
            await stream.Output.CompleteAsync();
            await Eventually.IsAsync(() => CountEventsAsync(id), count => count > 0);
        }
        await AssertCompleteAsync(id);
    }

    [Fact]
    public async Task A_database_error_is_an_answer_with_the_code_of_the_request()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "socket");
        await workflow.SaveAsync("k", "x");
        var url = await edge.NewDatabaseAsync();
        await using var store = await Store.OpenAsync(
            new StoreOptions { DatabaseUrl = url, DataDirectory = edge.DirectoryPath }, default);
        await edge.ExecuteAsync(url, "DROP TABLE instance");
        await edge.ExecuteAsync(url, "DROP TABLE checkpoint");
        var requests = new InstanceRequests(edge.Gate, store.Catalog, edge.Options, TimeProvider.System);
        foreach (var (request, code) in new (RpcRequest, string)[]
        {
            (new() { GetInstanceStatus = new() { InstanceId = workflow.Id } }, ErrorCodes.GetInstanceStatus),
            (new() { GetCheckpoint = new() { InstanceId = workflow.Id, CheckpointId = "k" } },
                ErrorCodes.GetCheckpoint),
            (new() { Checkpoint = new() { InstanceId = workflow.Id, CheckpointId = "k" } }, ErrorCodes.Checkpoint),
        })
        {
            var answer = await requests.HandleAsync(request, new WorkflowOrigin.Connection(), default);
            Assert.Equal(code, answer!.Error?.Code);
            Assert.StartsWith("Database error: ", answer.Error!.Message, StringComparison.Ordinal);
            Assert.EndsWith(ErrorCodes.SafeToRepeat, answer.Error!.Message, StringComparison.Ordinal);
        }
    }

    private static RpcRequest Registration(string id) => new()
    {
        RegisterInstance = new() { InstanceId = id, TenantId = EdgeHost.Tenant },
    };

    private static RpcRequest Batch(string id)
    {
        var batch = new InstanceEventBatch();
        for (var i = 0; i < Events; i++)
            batch.Events.Add(new InstanceEvent { InstanceId = id, EventType = InstanceEventType.EventCustom });
        batch.Events.Add(new InstanceEvent { InstanceId = id, EventType = InstanceEventType.EventCompleted });
        return new RpcRequest { InstanceEventBatch = batch };
    }

    private async Task AssertCompleteAsync(string id)
    {
        await using var reader = await WorkflowClient.ConnectAsync(edge, "quic", id);
        await Eventually.IsAsync(() => reader.StatusAsync(), s => s.Status == InstanceStatus.StatusCompleted);
        Assert.Equal((uint)Events, await CountEventsAsync(id));
    }

    private async Task<uint> CountEventsAsync(string id)
    {
        var answer = await edge.Environment.CallAsync(
            new Environment.RpcRequest { ListEvents = new() { InstanceId = id, EventType = "custom", Limit = 1 } });
        return answer!.ListEvents.TotalCount;
    }
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteBrokenCallTests(EdgeHost edge) : BrokenCallContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresBrokenCallTests(PostgresEdgeHost edge) : BrokenCallContract(edge);
