using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.Data.Sqlite;
using Runtara.Edge.Instances;
using Runtara.Edge.Tests.Harness;
using Runtara.Persistence;
using Runtara.Protocol;
using Runtara.Protocol.Instances;

namespace Runtara.Edge.Tests.Instances;

/// <summary>A call whose caller leaves, or whose database does not answer as it should.</summary>
[Collection(EdgeCollection.Name)]
public sealed class BrokenCallTests(EdgeHost edge)
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
            await Eventually.HoldsAsync(() => CountEvents(id) > 0);
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
            await Eventually.HoldsAsync(() => CountEvents(id) > 0);
        }
        await AssertCompleteAsync(id);
    }

    [Fact]
    public async Task A_database_error_is_an_answer_with_the_code_of_the_request()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "socket");
        await workflow.SaveAsync("k", "x");
        var directory = Directory.CreateDirectory(Path.Combine(edge.DirectoryPath, edge.NewName("broken"))).FullName;
        await using var store = await Store.OpenAsync(
            new StoreOptions { DatabaseUrl = $"sqlite:{directory}/store.db", DataDirectory = directory }, default);
        Execute($"{directory}/store.db", "DROP TABLE instance; DROP TABLE checkpoint");
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
        Assert.Equal(Events, CountEvents(id));
    }

    private long CountEvents(string id) => Execute(
        Path.Combine(edge.DirectoryPath, "store.db"),
        $"SELECT count(*) FROM event WHERE instance_id = '{id}' AND type = 'custom'");

    private static long Execute(string file, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={file}");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar() as long? ?? 0;
    }
}
