using Google.Protobuf;
using Runtara.Edge.Tests.Harness;
using Runtara.Protocol.Instances;

namespace Runtara.Edge.Tests.Instances;

public abstract class LifeContract(EdgeHost edge)
{
    public static TheoryData<string> Doors => WorkflowClient.Doors;

    [Theory, MemberData(nameof(Doors))]
    public async Task A_program_that_nobody_started_registers_itself_and_may_do_so_twice(string door)
    {
        await using var workflow = await WorkflowClient.ConnectAsync(edge, door, edge.NewName());
        Assert.True((await workflow.RegisterAsync()).Success);
        Assert.True((await workflow.RegisterAsync()).Success);
        var status = await workflow.StatusAsync();
        Assert.Equal(InstanceStatus.StatusRunning, status.Status);
        Assert.NotEqual(0, status.StartedAtMs);
        Assert.False(status.HasError);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Of_many_first_registrations_at_once_each_succeeds(string door)
    {
        await using var workflow = await WorkflowClient.ConnectAsync(edge, door, edge.NewName());
        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => workflow.RegisterAsync()));
        Assert.All(answers, answer => Assert.Equal((true, ""), (answer.Success, answer.Error)));
        var list = await edge.Environment.CallAsync(
            new Protocol.Environments.RpcRequest { ListEvents = new() { InstanceId = workflow.Id } });
        Assert.Equal("started", Assert.Single(list!.ListEvents.Events).EventType);
    }

    [Fact]
    public async Task An_id_is_required_and_has_a_rule()
    {
        await using var nobody = await WorkflowClient.ConnectAsync(edge, "quic", "");
        Assert.Equal("instance_id is required", (await nobody.RegisterAsync()).Error);
        await using var dots = await WorkflowClient.ConnectAsync(edge, "quic", "..");
        Assert.Equal("instance_id must not be '..'", (await dots.RegisterAsync()).Error);
        await using var fine = await WorkflowClient.ConnectAsync(edge, "quic", edge.NewName());
        Assert.Equal("tenant_id is required", (await fine.RegisterAsync("")).Error);
        Assert.Contains("tenant_id may have only", (await fine.RegisterAsync("a/b")).Error);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task The_instance_of_another_tenant_looks_missing(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        var answer = await workflow.RegisterAsync("other");
        Assert.False(answer.Success);
        Assert.Equal($"Instance '{workflow.Id}' not found", answer.Error);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task A_registration_from_an_unknown_checkpoint_is_refused(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        Assert.Equal("Checkpoint 'nowhere' not found", (await workflow.RegisterAsync(checkpoint: "nowhere")).Error);
        await workflow.SaveAsync("here", "x");
        Assert.True((await workflow.RegisterAsync(checkpoint: "here")).Success);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task What_has_ended_cannot_register_again(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        Assert.True((await workflow.ReportAsync(InstanceEventType.EventCompleted, "42")).InstanceEvent.Success);
        Assert.Equal($"Instance '{workflow.Id}' is already completed", (await workflow.RegisterAsync()).Error);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task The_same_result_twice_succeeds_and_another_names_the_state(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        Assert.True((await workflow.ReportAsync(InstanceEventType.EventCompleted, "42")).InstanceEvent.Success);
        var first = await workflow.StatusAsync();
        Assert.True((await workflow.ReportAsync(InstanceEventType.EventCompleted, "42")).InstanceEvent.Success);
        foreach (var contradiction in (RpcResponse[])[
            await workflow.ReportAsync(InstanceEventType.EventCompleted, "43"),
            await workflow.ReportAsync(InstanceEventType.EventFailed, "no"),
            await workflow.ReportAsync(InstanceEventType.EventSuspended)])
        {
            Assert.False(contradiction.InstanceEvent.Success);
            Assert.Equal($"Instance '{workflow.Id}' is already completed", contradiction.InstanceEvent.Error);
        }
        var status = await workflow.StatusAsync();
        Assert.Equal(first, status);
        Assert.Equal(InstanceStatus.StatusCompleted, status.Status);
        Assert.Equal("42", status.Output.ToStringUtf8());
        Assert.True(status.HasFinishedAtMs);
        var events = await edge.Environment.CallAsync(
            new Protocol.Environments.RpcRequest { ListEvents = new() { InstanceId = workflow.Id } });
        Assert.Equal(["completed", "started"], events!.ListEvents.Events.Select(e => e.EventType));
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task A_failure_keeps_its_text(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        Assert.True((await workflow.ReportAsync(InstanceEventType.EventFailed, "no luck")).InstanceEvent.Success);
        var status = await workflow.StatusAsync();
        Assert.Equal((InstanceStatus.StatusFailed, "no luck"), (status.Status, status.Error));
        Assert.False(status.HasOutput);
    }

    [Theory]
    [InlineData("", "Unknown error")]
    [InlineData("/w==", "Unknown error (binary payload)")]
    public async Task A_failure_without_a_text_gets_one(string payload, string text)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        var failed = workflow.Event(InstanceEventType.EventFailed);
        failed.Payload = ByteString.FromBase64(payload);
        await workflow.CallAsync(new RpcRequest { InstanceEvent = failed });
        Assert.Equal(text, (await workflow.StatusAsync()).Error);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task A_suspended_event_suspends_and_a_registration_goes_on(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        Assert.True((await workflow.ReportAsync(InstanceEventType.EventSuspended)).InstanceEvent.Success);
        Assert.Equal(InstanceStatus.StatusSuspended, (await workflow.StatusAsync()).Status);
        Assert.True((await workflow.RegisterAsync()).Success);
        Assert.Equal(InstanceStatus.StatusRunning, (await workflow.StatusAsync()).Status);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Heartbeats_and_custom_events_are_taken(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        Assert.True((await workflow.ReportAsync(InstanceEventType.EventHeartbeat)).InstanceEvent.Success);
        Assert.True((await workflow.ReportAsync(InstanceEventType.EventCustom, "{}", "note")).InstanceEvent.Success);
        Assert.True((await workflow.ReportAsync((InstanceEventType)99)).InstanceEvent.Success);
        Assert.Equal(InstanceStatus.StatusRunning, (await workflow.StatusAsync()).Status);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task The_same_event_of_the_same_millisecond_is_stored_once(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        var sent = workflow.Event(InstanceEventType.EventCustom, "1", "note");
        var others = new InstanceEvent[4];
        for (var i = 0; i < others.Length; i++)
            others[i] = sent.Clone();
        others[0].TimestampMs++;
        others[1].Payload = ByteString.CopyFromUtf8("2");
        others[2].Subtype = "other";
        others[3].CheckpointId = "k";
        foreach (var happened in (InstanceEvent[])[sent, sent, .. others, sent])
            Assert.True((await workflow.CallAsync(new RpcRequest { InstanceEvent = happened }))!.InstanceEvent.Success);
        Assert.Equal(5u, await CountCustomAsync(workflow.Id));
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Equal_events_of_one_batch_and_events_without_a_time_are_each_stored(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        var sent = workflow.Event(InstanceEventType.EventCustom, "1", "note");
        var batch = new RpcRequest { InstanceEventBatch = new() { Events = { sent, sent } } };
        await workflow.CallAsync(batch);
        await workflow.CallAsync(batch);
        Assert.Equal(2u, await CountCustomAsync(workflow.Id));
        sent.TimestampMs = 0;
        await workflow.CallAsync(new RpcRequest { InstanceEvent = sent });
        await workflow.CallAsync(new RpcRequest { InstanceEvent = sent });
        Assert.Equal(4u, await CountCustomAsync(workflow.Id));
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task A_retry_record_that_is_sent_again_is_stored_once(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        var retry = new RetryAttemptEvent
        {
            InstanceId = workflow.Id, CheckpointId = "k", AttemptNumber = 2, ErrorMessage = "Timed out",
        };
        var next = retry.Clone();
        next.AttemptNumber = 3;
        foreach (var record in (RetryAttemptEvent[])[retry, retry, next, retry])
            await workflow.CallAsync(new RpcRequest { RetryAttempt = record });
        Assert.Equal(2u, await CountCustomAsync(workflow.Id));
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task The_names_in_an_event_and_the_text_of_a_retry_have_limits(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        var (subtype, checkpoint) = (
            workflow.Event(InstanceEventType.EventCustom), workflow.Event(InstanceEventType.EventCustom));
        subtype.Subtype = checkpoint.CheckpointId = new string('x', 1025);
        foreach (var (happened, field) in new[] { (subtype, "subtype"), (checkpoint, "checkpoint_id") })
        {
            var refused = (await workflow.CallAsync(new RpcRequest { InstanceEvent = happened }))!.Error;
            Assert.Equal(
                ("INSTANCE_EVENT_ERROR", $"Validation error for '{field}': {field} has 1025 bytes, the limit is 1024 "
                    + "(edge.key-bytes-max)"),
                (refused?.Code, refused?.Message));
        }
        foreach (var (retry, error) in new (RetryAttemptEvent, string)[]
        {
            (new() { InstanceId = workflow.Id, CheckpointId = new string('x', 1025) },
                "Validation error for 'checkpoint_id': checkpoint_id has 1025 bytes, the limit is 1024 "
                + "(edge.key-bytes-max)"),
            (new() { InstanceId = workflow.Id, ErrorMessage = new string('x', 2001) },
                "Validation error for 'error_message': 2001 bytes are more than the limit of 2000 "
                + "(edge.event-bytes-max)"),
        })
        {
            var answer = await workflow.CallAsync(new RpcRequest { RetryAttempt = retry });
            Assert.Equal(workflow.IsQuic ? null : error, answer?.Error?.Message);
        }
        Assert.Equal(0u, await CountCustomAsync(workflow.Id));
    }

    private async Task<uint> CountCustomAsync(string instance)
    {
        var list = await edge.Environment.CallAsync(
            new Protocol.Environments.RpcRequest
            {
                ListEvents = new() { InstanceId = instance, EventType = "custom" },
            });
        return list!.ListEvents.TotalCount;
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Events_need_an_instance_that_exists(string door)
    {
        await using var workflow = await WorkflowClient.ConnectAsync(edge, door, edge.NewName());
        var missing = await workflow.ReportAsync(InstanceEventType.EventHeartbeat);
        Assert.Equal("INSTANCE_EVENT_ERROR", missing.Error.Code);
        Assert.Equal($"Instance '{workflow.Id}' not found", missing.Error.Message);
        var empty = await workflow.CallAsync(new RpcRequest { InstanceEvent = new() });
        Assert.Equal("INSTANCE_EVENT_ERROR", empty!.Error.Code);
        if (workflow.IsQuic)
            Assert.Equal("Validation error for 'instance_id': instance_id is required", empty.Error.Message);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task An_event_with_too_large_a_payload_is_refused_with_the_limit(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        var custom = await workflow.ReportAsync(InstanceEventType.EventCustom, new string('x', 2001));
        Assert.Equal("INSTANCE_EVENT_ERROR", custom.Error.Code);
        Assert.Contains("limit of 2000", custom.Error.Message);
        var output = await workflow.ReportAsync(InstanceEventType.EventCompleted, new string('x', 3001));
        Assert.Contains("limit of 3000", output.Error.Message);
        Assert.True((await workflow.ReportAsync(InstanceEventType.EventCompleted, new string('x', 3000))).InstanceEvent
            .Success);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task The_status_of_an_unknown_instance_is_no_error(string door)
    {
        await using var workflow = await WorkflowClient.ConnectAsync(edge, door, edge.NewName());
        var status = await workflow.StatusAsync();
        Assert.Equal((workflow.Id, InstanceStatus.StatusUnknown, 0L, "Instance not found"),
            (status.InstanceId, status.Status, status.StartedAtMs, status.Error));
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task An_unknown_instance_has_no_signals(string door)
    {
        await using var workflow = await WorkflowClient.ConnectAsync(edge, door, edge.NewName());
        var polled = await workflow.CallAsync(new RpcRequest { PollSignals = new() { InstanceId = workflow.Id } });
        Assert.NotNull(polled!.PollSignals);
        Assert.Null(polled.PollSignals.Signal);
        Assert.Null(polled.PollSignals.CustomSignal);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task A_request_without_content_is_an_empty_request(string door)
    {
        await using var workflow = await WorkflowClient.ConnectAsync(edge, door, edge.NewName());
        var answer = await workflow.CallAsync(new RpcRequest());
        Assert.Equal(("EMPTY_REQUEST", "RpcRequest contained no request"), (answer!.Error.Code, answer.Error.Message));
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Requests_without_a_reply_are_carried_out_and_end_empty(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        var batch = new InstanceEventBatch();
        batch.Events.Add(new InstanceEvent());
        batch.Events.Add(workflow.Event(InstanceEventType.EventCustom, "1"));
        batch.Events.Add(workflow.Event(InstanceEventType.EventFailed, "in a batch"));
        foreach (var request in (RpcRequest[])[
            new() { RetryAttempt = new() { InstanceId = workflow.Id, CheckpointId = "k", AttemptNumber = 2 } },
            new() { SignalAck = new() { InstanceId = workflow.Id, SignalType = SignalType.SignalPause,
                Acknowledged = true } },
            new() { SignalAck = new() { InstanceId = workflow.Id, SignalType = SignalType.SignalCancel } },
            new() { InstanceEventBatch = batch }])
        {
            var answer = await workflow.CallAsync(request);
            if (workflow.IsQuic)
                Assert.Null(answer);
            else
                Assert.Equal(new RpcResponse(), answer);
        }
        Assert.Equal("in a batch", (await workflow.StatusAsync()).Error);
    }
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteLifeTests(EdgeHost edge) : LifeContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresLifeTests(PostgresEdgeHost edge) : LifeContract(edge);
