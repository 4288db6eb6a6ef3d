using Google.Protobuf;
using Runtara.Actors.Runners;
using Runtara.Edge.Tests.Harness;
using Runtara.Protocol.Instances;
using Wire = Runtara.Protocol.Environments;

namespace Runtara.Edge.Tests.Instances;

/// <summary>Stop, resume and signals, from the management client through the store to the workflow.</summary>
public abstract class SignalContract(EdgeHost edge)
{
    public static TheoryData<string> Doors => WorkflowClient.Doors;

    private async Task<Wire.RpcResponse> CallAsync(Wire.RpcRequest request) =>
        (await edge.Environment.CallAsync(request))!;

    private async Task<string> StopAsync(string id, uint grace = 5, string reason = "") => (await CallAsync(new()
    {
        StopInstance = new() { InstanceId = id, GracePeriodSeconds = grace, Reason = reason },
    })).StopInstance.Error;

    private async Task<string> ResumeAsync(string id) =>
        (await CallAsync(new() { ResumeInstance = new() { InstanceId = id } })).ResumeInstance.Error;

    private async Task<string> SendAsync(string id, int type, string payload = "") => (await CallAsync(new()
    {
        SendSignal = new()
        {
            InstanceId = id,
            SignalType = (Wire.SignalType)type,
            Payload = ByteString.CopyFromUtf8(payload),
        },
    })).SendSignal.Error;

    private async Task<string> SendCustomAsync(string id, string key, string payload = "") => (await CallAsync(new()
    {
        SendCustomSignal = new()
        {
            InstanceId = id,
            CheckpointId = key,
            Payload = ByteString.CopyFromUtf8(payload),
        },
    })).SendCustomSignal.Error;

    private async Task<Wire.GetInstanceStatusResponse> StatusAsync(string id) =>
        (await CallAsync(new() { GetInstanceStatus = new() { InstanceId = id } })).GetInstanceStatus;

    private async Task<Wire.InstanceStatus> StatusOfAsync(string id) => (await StatusAsync(id)).Status;

    [Fact]
    public async Task An_unknown_instance_is_not_found_by_any_of_them()
    {
        const string missing = "Instance 'nobody' not found";
        Assert.Equal(missing, await StopAsync("nobody"));
        Assert.Equal(missing, await ResumeAsync("nobody"));
        Assert.Equal(missing, await SendAsync("nobody", 0));
        Assert.Equal(missing, await SendCustomAsync("nobody", "k"));
        await using var workflow = await WorkflowClient.ConnectAsync(edge, "quic", "nobody");
        Assert.Equal(new PollSignalsResponse(), await workflow.PollAsync("k"));
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Each_kind_of_signal_arrives_with_its_payload_and_stays_until_acknowledged(string door)
    {
        foreach (var kind in (SignalType[])[SignalType.SignalResume, SignalType.SignalPause, SignalType.SignalCancel])
        {
            await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
            Assert.Null((await workflow.PollAsync()).Signal);
            Assert.Equal("", await SendAsync(workflow.Id, (int)kind, "why"));
            var signal = (await workflow.PollAsync()).Signal;
            Assert.Equal((workflow.Id, kind), (signal.InstanceId, signal.SignalType));
            Assert.Equal("why", signal.Payload.ToStringUtf8());
            Assert.Equal(signal, (await workflow.SaveAsync("step", "x")).Checkpoint.PendingSignal);
            await workflow.AcknowledgeAsync(kind, acknowledged: false);
            Assert.Equal(signal, (await workflow.PollAsync()).Signal);
            await workflow.AcknowledgeAsync(kind);
            Assert.Null((await workflow.PollAsync()).Signal);
            Assert.Equal(
                kind == SignalType.SignalCancel ? InstanceStatus.StatusCancelled : InstanceStatus.StatusRunning,
                (await workflow.StatusAsync()).Status);
        }
    }

    [Theory]
    [InlineData(3)]
    [InlineData(99)]
    [InlineData(-1)]
    public async Task An_unknown_kind_of_signal_is_refused_and_changes_nothing(int kind)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        Assert.Equal($"Unknown signal type: {kind}", await SendAsync(workflow.Id, kind));
        Assert.Null((await workflow.PollAsync()).Signal);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task A_later_cancel_replaces_a_pause_and_a_later_pause_does_not_replace_it(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        await SendAsync(workflow.Id, 1);
        await SendAsync(workflow.Id, 0, "end");
        await SendAsync(workflow.Id, 1);
        Assert.Equal(SignalType.SignalCancel, (await workflow.PollAsync()).Signal.SignalType);
        await workflow.AcknowledgeAsync(SignalType.SignalPause);
        Assert.Equal(SignalType.SignalCancel, (await workflow.PollAsync()).Signal.SignalType);
        await workflow.AcknowledgeAsync(SignalType.SignalCancel);
        var status = await StatusAsync(workflow.Id);
        Assert.Equal(Wire.InstanceStatus.StatusCancelled, status.Status);
        Assert.True(status.HasFinishedAtMs);
    }

    [Theory]
    [InlineData("completed")]
    [InlineData("failed")]
    [InlineData("cancelled")]
    public async Task What_has_ended_refuses_signals_stops_and_resumes(string status)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        if (status == "cancelled")
        {
            await SendAsync(workflow.Id, 0);
            await workflow.AcknowledgeAsync(SignalType.SignalCancel);
        }
        else
        {
            await workflow.ReportAsync(
                status == "failed" ? InstanceEventType.EventFailed : InstanceEventType.EventCompleted, "42");
        }
        var before = await StatusAsync(workflow.Id);
        var text = $"Cannot send signal to instance in '{status}' state (terminal state)";
        // A cancel of what was cancelled is done: it may be the same one, sent again for its lost reply.
        foreach (var kind in (int[])[0, 1, 2])
            Assert.Equal(status == "cancelled" && kind == 0 ? "" : text, await SendAsync(workflow.Id, kind));
        Assert.Equal(text, await SendCustomAsync(workflow.Id, "k"));
        Assert.Equal(
            status == "cancelled" ? "" : $"Instance '{workflow.Id}' is already {status}", await StopAsync(workflow.Id));
        Assert.Equal(
            $"Cannot resume instance in '{status}' state (must be suspended)", await ResumeAsync(workflow.Id));
        Assert.Equal(before, await StatusAsync(workflow.Id));
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task A_pause_and_a_resume_come_one_after_the_other_and_checkpoints_outlast_a_cancel(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        await workflow.SaveAsync("before", "one");
        foreach (var kind in (SignalType[])[SignalType.SignalPause, SignalType.SignalResume, SignalType.SignalCancel])
        {
            Assert.Equal("", await SendAsync(workflow.Id, (int)kind));
            var signal = (await workflow.PollAsync()).Signal;
            Assert.Equal((kind, true), (signal.SignalType, signal.Payload.IsEmpty));
            if (kind == SignalType.SignalCancel)
                await workflow.SaveAsync("meanwhile", "two");
            await workflow.AcknowledgeAsync(kind);
            Assert.Null((await workflow.PollAsync()).Signal);
        }
        Assert.Equal(Wire.InstanceStatus.StatusCancelled, await StatusOfAsync(workflow.Id));
        Assert.Equal("one", (await workflow.LoadAsync("before")).GetCheckpoint.State.ToStringUtf8());
        Assert.Equal("two", (await workflow.LoadAsync("meanwhile")).GetCheckpoint.State.ToStringUtf8());
    }

    [Fact]
    public async Task A_stop_of_a_running_instance_orders_its_container_to_end_and_a_result_in_time_wins()
    {
        var id = await edge.LaunchAsync();
        await using var workflow = await WorkflowClient.ConnectAsync(edge, "socket", id, 1);
        Assert.True((await workflow.RegisterAsync()).Success);
        Assert.Equal("", await StopAsync(id, 7, "enough"));
        // The order follows the reply.
        await Eventually.HoldsAsync(() => edge.CommandsOf(id).OfType<RunnerCommand.Stop>().Any());
        var stop = Assert.Single(edge.CommandsOf(id).OfType<RunnerCommand.Stop>());
        Assert.Equal(TimeSpan.FromSeconds(7), stop.Grace);
        Assert.Equal("enough", (await workflow.PollAsync()).Signal.Payload.ToStringUtf8());
        Assert.True((await workflow.ReportAsync(InstanceEventType.EventCompleted, "42")).InstanceEvent.Success);
        Assert.Equal(Wire.InstanceStatus.StatusCompleted, await StatusOfAsync(id));
    }

    [Fact]
    public async Task A_stopped_container_that_reports_nothing_was_cancelled()
    {
        var id = await edge.LaunchAsync();
        Assert.Equal("", await StopAsync(id));
        edge.Kill(id, 1);
        await Eventually.IsAsync(() => StatusOfAsync(id), status => status == Wire.InstanceStatus.StatusCancelled);
        Assert.True((await StatusAsync(id)).HasFinishedAtMs);
        Assert.Equal("", await StopAsync(id));
    }

    [Fact]
    public async Task A_suspended_instance_is_resumed_by_the_request_and_by_the_signal()
    {
        foreach (var bySignal in (bool[])[false, true])
        {
            var id = await edge.LaunchAsync();
            await using var first = await WorkflowClient.ConnectAsync(edge, "socket", id, 1);
            await first.RegisterAsync();
            Assert.Equal("Cannot resume instance in 'running' state (must be suspended)", await ResumeAsync(id));
            await first.ReportAsync(InstanceEventType.EventSuspended);
            Assert.Equal(Wire.InstanceStatus.StatusSuspended, await StatusOfAsync(id));
            Assert.False((await StatusAsync(id)).HasFinishedAtMs);
            Assert.Equal("", bySignal ? await SendAsync(id, 2) : await ResumeAsync(id));
            await edge.LaunchedAsync(id, 2);
        }
    }

    [Fact]
    public async Task A_suspended_instance_is_cancelled_at_once()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        await workflow.ReportAsync(InstanceEventType.EventSuspended);
        Assert.Equal("", await SendAsync(workflow.Id, 0));
        Assert.Equal(Wire.InstanceStatus.StatusCancelled, await StatusOfAsync(workflow.Id));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_stop_of_a_paused_or_a_hibernated_instance_cancels_it_at_once(bool hibernates)
    {
        var id = await edge.LaunchAsync();
        await using var workflow = await WorkflowClient.ConnectAsync(edge, "socket", id, 1);
        Assert.True((await workflow.RegisterAsync()).Success);
        var sleeping = Task.CompletedTask;
        if (hibernates)
        {
            sleeping = workflow.CallAsync(
                new RpcRequest { Sleep = new() { InstanceId = id, CheckpointId = "nap", DurationMs = 600_000 } });
        }
        else
        {
            Assert.True((await workflow.ReportAsync(InstanceEventType.EventSuspended)).InstanceEvent.Success);
        }
        await Eventually.IsAsync(() => StatusOfAsync(id), status => status == Wire.InstanceStatus.StatusSuspended);
        Assert.Equal("", await StopAsync(id));
        var stopped = await StatusAsync(id);
        Assert.Equal((Wire.InstanceStatus.StatusCancelled, true), (stopped.Status, stopped.HasFinishedAtMs));
        await workflow.DisposeAsync();
        await sleeping;
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Custom_signals_of_a_key_come_one_after_the_other_each_until_progress_consumes_it(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        Assert.Equal("", await SendCustomAsync(workflow.Id, "k", "one"));
        Assert.Equal("", await SendCustomAsync(workflow.Id, "k", "two"));
        Assert.Equal("", await SendCustomAsync(workflow.Id, "other", ""));
        Assert.Null((await workflow.PollAsync()).CustomSignal);
        for (var again = 0; again < 3; again++)
        {
            var given = (await workflow.PollAsync("k")).CustomSignal;
            Assert.Equal(("k", "one"), (given.CheckpointId, given.Payload.ToStringUtf8()));
            await workflow.ReportAsync(InstanceEventType.EventHeartbeat);
        }
        await workflow.SaveAsync("step", "x");
        Assert.Equal("two", (await workflow.PollAsync("k")).CustomSignal.Payload.ToStringUtf8());
        await workflow.ReportAsync(InstanceEventType.EventCustom, "progress");
        Assert.Null((await workflow.PollAsync("k")).CustomSignal);
        Assert.Equal("", (await workflow.PollAsync("other")).CustomSignal.Payload.ToStringUtf8());
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task A_checkpoint_carries_the_custom_signal_of_its_key_new_or_not(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        await SendCustomAsync(workflow.Id, "k", "one");
        Assert.Null((await workflow.SaveAsync("other", "x")).Checkpoint.CustomSignal);
        var saved = (await workflow.SaveAsync("k", "x")).Checkpoint;
        Assert.Equal((false, "one"), (saved.Found, saved.CustomSignal.Payload.ToStringUtf8()));
        var found = (await workflow.SaveAsync("k", "y")).Checkpoint;
        Assert.Equal((true, "one"), (found.Found, found.CustomSignal.Payload.ToStringUtf8()));
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task A_new_checkpoint_carries_the_custom_signal_that_a_poll_was_given_before(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        await SendCustomAsync(workflow.Id, "k", "one");
        await SendCustomAsync(workflow.Id, "k", "two");
        Assert.Equal("one", (await workflow.PollAsync("k")).CustomSignal.Payload.ToStringUtf8());
        var saved = (await workflow.SaveAsync("k", "x")).Checkpoint;
        Assert.Equal((false, "one"), (saved.Found, saved.CustomSignal?.Payload.ToStringUtf8()));
        Assert.Equal("two", (await workflow.PollAsync("k")).CustomSignal.Payload.ToStringUtf8());
    }

    [Fact]
    public async Task A_custom_signal_needs_a_key_and_has_limits_that_the_error_names()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        Assert.Equal("checkpoint_id is required", await SendCustomAsync(workflow.Id, ""));
        Assert.Contains("edge.key-bytes-max", await SendCustomAsync(workflow.Id, new string('k', 1025)));
        Assert.Contains("edge.signal-bytes-max", await SendCustomAsync(workflow.Id, "k", new string('x', 2001)));
        Assert.Contains("edge.signal-bytes-max", await SendAsync(workflow.Id, 1, new string('x', 2001)));
        Assert.Contains("edge.reason-length-max", await StopAsync(workflow.Id, 5, new string('x', 4097)));
        Assert.Contains("edge.stop-grace-max", await StopAsync(workflow.Id, 3601));
        var error = (await workflow.SaveAsync(new string('k', 1025), "x")).Error;
        Assert.Equal("CHECKPOINT_ERROR", error.Code);
        Assert.Contains("checkpoint_id", error.Message);
        Assert.Contains("checkpoint_id", (await workflow.SleepAsync(new string('k', 1025), 1)).Error.Message);
        Assert.Equal(new PollSignalsResponse(), await workflow.PollAsync("k"));
    }

    [Fact]
    public async Task A_relaunch_is_given_what_the_crashed_attempt_did_not_consume()
    {
        var id = await edge.LaunchAsync();
        await using var first = await WorkflowClient.ConnectAsync(edge, "socket", id, 1);
        await first.RegisterAsync();
        await SendCustomAsync(id, "k", "one");
        Assert.NotNull((await first.PollAsync("k")).CustomSignal);
        edge.Kill(id, 1);
        await edge.LaunchedAsync(id, 2);
        await using var second = await WorkflowClient.ConnectAsync(edge, "socket", id, 2);
        await second.RegisterAsync();
        Assert.Equal("one", (await second.PollAsync("k")).CustomSignal.Payload.ToStringUtf8());
        Assert.Equal(new PollSignalsResponse(), await first.PollAsync("k"));
        await second.SaveAsync("step", "x");
        Assert.Null((await second.PollAsync("k")).CustomSignal);
    }
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteSignalTests(EdgeHost edge) : SignalContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresSignalTests(PostgresEdgeHost edge) : SignalContract(edge);
