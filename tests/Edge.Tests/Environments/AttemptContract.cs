using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Edge.Instances;
using Runtara.Edge.Tests.Harness;
using Runtara.Protocol.Environments;
using Attempt = Runtara.Actors.Instances.Attempt;
using Wire = Runtara.Protocol.Environments;

namespace Runtara.Edge.Tests.Environments;

/// <summary>What a caller sees of the attempts of an instance, on both databases.</summary>
public abstract class AttemptContract(EdgeHost edge)
{
    private async Task<RpcResponse> CallAsync(RpcRequest request) => (await edge.Environment.CallAsync(request))!;

    private async Task<GetInstanceStatusResponse> StatusAsync(string id) =>
        (await CallAsync(new RpcRequest { GetInstanceStatus = new() { InstanceId = id } })).GetInstanceStatus;

    [Fact]
    public async Task The_variables_of_a_start_are_given_to_every_attempt()
    {
        var id = edge.NewName("varied");
        var start = new StartInstanceRequest { ImageId = edge.Image, TenantId = EdgeHost.Tenant, InstanceId = id };
        start.Env.Add("COLOR", "blue");
        Assert.True((await CallAsync(new RpcRequest { StartInstance = start })).StartInstance.Success);
        await edge.LaunchedAsync(id, 1);
        edge.Kill(id, 1);
        await edge.LaunchedAsync(id, 2);
        await using var second = await WorkflowClient.ConnectAsync(edge, "socket", id, 2);
        await second.RegisterAsync();
        await second.ReportAsync(Protocol.Instances.InstanceEventType.EventSuspended);
        await CallAsync(new RpcRequest { ResumeInstance = new() { InstanceId = id } });
        await edge.LaunchedAsync(id, 3);
        var launches = edge.CommandsOf(id).OfType<RunnerCommand.Launch>().ToList();
        Assert.Equal([1, 2, 3], launches.Select(launch => launch.Attempt.Number));
        Assert.All(launches, launch => Assert.Equal("blue", Assert.Single(launch.Environment).Value));
        Assert.Single(launches.Select(launch => (launch.Tenant, launch.Image, launch.ImageSha256)).Distinct());
    }

    [Fact]
    public async Task Without_variables_an_attempt_is_given_none()
    {
        var id = await edge.LaunchAsync();
        Assert.Empty(Assert.Single(edge.CommandsOf(id).OfType<RunnerCommand.Launch>()).Environment);
    }

    [Fact]
    public async Task A_launch_failure_shows_in_the_status_and_not_in_the_reply()
    {
        var id = await edge.LaunchAsync();
        for (var attempt = 1; attempt <= 3; attempt++)
        {
            await edge.LaunchedAsync(id, attempt);
            edge.FailLaunch(id, attempt, "Bundle not found");
        }
        var status = await Eventually.IsAsync(
            () => StatusAsync(id), s => s.Status == Wire.InstanceStatus.StatusFailed);
        Assert.Equal((true, id, 3u), (status.Found, status.InstanceId, status.RetryCount));
        Assert.StartsWith("Launch failed: Bundle not found", status.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_result_right_after_the_launch_is_the_last_word()
    {
        var id = await edge.LaunchAsync();
        await using var workflow = await WorkflowClient.ConnectAsync(edge, "socket", id, 1);
        Assert.True((await workflow.RegisterAsync()).Success);
        var completed = Protocol.Instances.InstanceEventType.EventCompleted;
        Assert.True((await workflow.ReportAsync(completed, "42")).InstanceEvent.Success);
        var before = await StatusAsync(id);
        edge.Kill(id, 1);
        await Eventually.HoldsAsync(() => edge.CommandsOf(id).Any(c => c is RunnerCommand.Forget));
        Assert.Equal(before, await StatusAsync(id));
        Assert.Equal((Wire.InstanceStatus.StatusCompleted, "42"), (before.Status, before.Output.ToStringUtf8()));
    }

    [Fact]
    public async Task A_workflow_that_only_asks_for_its_status_is_heard()
    {
        var id = await edge.LaunchAsync();
        var (asked, requests) = edge.NewRequests();
        var request = new Protocol.Instances.RpcRequest { GetInstanceStatus = new() { InstanceId = id } };
        var own = new WorkflowOrigin.Socket(new InstanceId(id), new Attempt(1));
        foreach (var origin in (WorkflowOrigin[])[new WorkflowOrigin.Connection(), own])
        {
            var answer = await requests.HandleAsync(request, origin, default);
            Assert.Equal(Protocol.Instances.InstanceStatus.StatusRunning, answer!.GetInstanceStatus.Status);
        }
        var heard = Assert.IsType<InstanceCommand.PollSignals>(Assert.Single(asked));
        Assert.Equal((id, new Attempt(1), null), (heard.Instance.Value, heard.From, heard.CheckpointId));
    }

    [Fact]
    public async Task A_workflow_that_registered_over_QUIC_and_only_asks_for_its_status_is_heard()
    {
        var id = await edge.LaunchAsync();
        var (asked, requests) = edge.NewRequests();
        await using var server = await edge.NewInstanceServerAsync(requests, edge.Options);
        server.Start();
        await using var client = new QuicClient<Protocol.Instances.RpcRequest, Protocol.Instances.RpcResponse>(
            server.Listener.LocalEndPoint, Protocol.Instances.RpcResponse.Parser);
        var registered = await client.CallAsync(new()
        {
            RegisterInstance = new() { InstanceId = id, TenantId = EdgeHost.Tenant },
        });
        Assert.True(registered!.RegisterInstance.Success, registered.ToString());
        asked.Clear();
        var answer = await client.CallAsync(new() { GetInstanceStatus = new() { InstanceId = id } });
        Assert.Equal(Protocol.Instances.InstanceStatus.StatusRunning, answer!.GetInstanceStatus.Status);
        var heard = Assert.IsType<InstanceCommand.PollSignals>(Assert.Single(asked));
        Assert.Equal((id, new Attempt(1)), (heard.Instance.Value, heard.From));
    }
}

/// <inheritdoc />
[Collection(EdgeCollection.Name)]
public sealed class SqliteAttemptTests(EdgeHost edge) : AttemptContract(edge);

/// <inheritdoc />
[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresAttemptTests(PostgresEdgeHost edge) : AttemptContract(edge);
