using System.IO.Pipelines;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Runtara.Edge.Instances;
using Runtara.Edge.Tests.Harness;
using Runtara.Persistence;
using Clients = Runtara.Protocol.Environments;
using Workflows = Runtara.Protocol.Instances;

namespace Runtara.Edge.Tests;

/// <summary>What each request is answered with when its tables have gone and no instance answers.</summary>
public abstract class ErrorCodeContract(EdgeHost edge)
{
    private EdgeOptions Impatient => edge.Options with
    {
        AskTimeout = TimeSpan.FromMilliseconds(50), RequestTimeout = TimeSpan.FromMilliseconds(200),
    };

    private async Task<Store> NewEmptyStoreAsync()
    {
        var url = await edge.NewDatabaseAsync();
        var store = await Store.OpenAsync(
            new StoreOptions
            {
                DatabaseUrl = url,
                DataDirectory = Path.Combine(edge.DirectoryPath, edge.NewName("gone")),
                ReconnectTimeout = Impatient.RequestTimeout,
            },
            default);
        foreach (var table in (string[])["instance", "checkpoint", "event", "image"])
            await edge.ExecuteAsync(url, $"DROP TABLE {table}");
        return store;
    }

    private static string CodeOf(IMessage request)
    {
        var arm = request.Descriptor.Oneofs[0].Accessor.GetCaseFieldDescriptor(request);
        return $"{arm.Name.ToUpperInvariant()}_ERROR";
    }

    private static IEnumerable<string> Arms(MessageDescriptor requests) =>
        requests.Oneofs[0].Fields.Select(arm => arm.Name);

    [Fact]
    public async Task Every_request_of_a_client_that_fails_is_answered_with_its_own_code()
    {
        await using var store = await NewEmptyStoreAsync();
        using var deaf = edge.NewGate(Impatient, _ => false);
        var requests = edge.NewEnvironmentRequests(deaf, Impatient, store);
        var image = ByteString.CopyFrom(Executables.Static());
        var all = new Clients.RpcRequest[]
        {
            new() { RegisterImage = new() { TenantId = "t", Name = "n", Binary = image } },
            new() { ListImages = new() },
            new() { GetImage = new() { TenantId = "t", ImageId = "i" } },
            new() { DeleteImage = new() { TenantId = "t", ImageId = "i" } },
            new() { StartInstance = new() { TenantId = "t", ImageId = "i" } },
            new() { StopInstance = new() { InstanceId = "i" } },
            new() { ResumeInstance = new() { InstanceId = "i" } },
            new() { GetInstanceStatus = new() { InstanceId = "i" } },
            new() { ListInstances = new() },
            new() { SendSignal = new() { InstanceId = "i" } },
            new() { TestCapability = new() { TenantId = "t", AgentId = "a", CapabilityId = "c" } },
            new() { ListAgents = new() },
            new() { GetCapability = new() { AgentId = "a", CapabilityId = "c" } },
            new() { ListCheckpoints = new() { InstanceId = "i" } },
            new() { GetCheckpoint = new() { InstanceId = "i", CheckpointId = "k" } },
            new() { SendCustomSignal = new() { InstanceId = "i", CheckpointId = "k" } },
            new() { ListEvents = new() { InstanceId = "i" } },
            new() { GetTenantMetrics = new() { TenantId = "t" } },
        };
        foreach (var request in all)
            Assert.Equal(CodeOf(request), (await requests.HandleAsync(request, default)).Error?.Code);

        var upload = await requests.RegisterStreamAsync(
            new() { TenantId = "t", Name = "n" }, PipeReader.Create(new MemoryStream(image.ToByteArray())), default);
        Assert.Equal("REGISTER_IMAGE_STREAM_ERROR", upload.Error?.Code);
        var health = await requests.HandleAsync(new() { HealthCheck = new() }, default);
        Assert.False(health.HealthCheck.Healthy);
        Assert.Equal(
            Arms(Clients.RpcRequest.Descriptor).Except(["health_check", "register_image_stream"]).Order(),
            all.Select(r => r.RequestCase).Select(arm =>
                Clients.RpcRequest.Descriptor.FindFieldByNumber((int)arm).Name).Order());
    }

    [Fact]
    public async Task Every_request_of_a_workflow_that_fails_is_answered_with_its_own_code()
    {
        await using var store = await NewEmptyStoreAsync();
        using var deaf = edge.NewGate(Impatient, _ => false);
        var requests = edge.NewInstanceRequests(deaf, Impatient, store);
        var all = new Workflows.RpcRequest[]
        {
            new() { RegisterInstance = new() { InstanceId = "i", TenantId = "t" } },
            new() { Sleep = new() { InstanceId = "i" } },
            new() { InstanceEvent = new() { InstanceId = "i" } },
            new() { GetInstanceStatus = new() { InstanceId = "i" } },
            new() { Checkpoint = new() { InstanceId = "i", CheckpointId = "k" } },
            new() { GetCheckpoint = new() { InstanceId = "i", CheckpointId = "k" } },
            new() { PollSignals = new() { InstanceId = "i" } },
        };
        foreach (var request in all)
        {
            var answer = await requests.HandleAsync(request, new WorkflowOrigin.Connection(), default);
            Assert.Equal(CodeOf(request), answer!.Error?.Code);
        }
        Assert.Equal(
            Arms(Workflows.RpcRequest.Descriptor)
                .Except(["instance_event_batch", "signal_ack", "retry_attempt"]).Order(),
            all.Select(r => r.RequestCase).Select(arm =>
                Workflows.RpcRequest.Descriptor.FindFieldByNumber((int)arm).Name).Order());
    }
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteErrorCodeTests(EdgeHost edge) : ErrorCodeContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresErrorCodeTests(PostgresEdgeHost edge) : ErrorCodeContract(edge);
