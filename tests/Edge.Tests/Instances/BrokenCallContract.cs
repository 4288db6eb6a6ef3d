using System.IO.Pipelines;
using System.Net.Sockets;
using Runtara.Edge.Instances;
using Runtara.Edge.Tests.Harness;
using Runtara.Persistence;
using Runtara.Protocol;
using Runtara.Protocol.Instances;
using Environment = Runtara.Protocol.Environments;
using ReportCustom = Runtara.Actors.Instances.InstanceCommand.ReportCustom;

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

    [Theory, MemberData(nameof(WorkflowClient.Doors), MemberType = typeof(WorkflowClient))]
    public async Task A_request_that_is_sent_and_left_at_once_is_carried_out(string door)
    {
        var id = edge.NewName();
        var path = Path.Combine(edge.DirectoryPath, $"{edge.NewName("s")}.sock");
        await using var opened = await edge.Door.OpenAsync(new(id), new(EdgeHost.Tenant), new(0), path, default);
        await WorkflowClient.CallSocketAsync(path, Registration(id));
        for (var i = 1u; i <= 10; i++)
        {
            await edge.Environment.CallAsync(new Environment.RpcRequest
            {
                SendSignal = new() { InstanceId = id, SignalType = Environment.SignalType.SignalPause },
            });
            foreach (var request in (RpcRequest[])[
                new() { RetryAttempt = new() { InstanceId = id, CheckpointId = "k", AttemptNumber = i } },
                new() { SignalAck = new() { InstanceId = id, SignalType = SignalType.SignalPause,
                    Acknowledged = true } }])
                await SendAndLeaveAsync(door == "quic" ? null : path, request);
            await Eventually.IsAsync(() => CountEventsAsync(id), count => count == i);
            await using var reader = await WorkflowClient.ConnectAsync(edge, "quic", id);
            await Eventually.IsAsync(() => reader.PollAsync(), polled => polled.Signal is null);
        }
    }

    private async Task SendAndLeaveAsync(string? path, RpcRequest request)
    {
        if (path is null)
        {
            await using var client = edge.InstanceClient();
            var stream = await client.OpenAsync();
            FrameWriter.Write(stream.Output, FrameType.Request, request);
            await stream.Output.CompleteAsync();
            return;
        }
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
        var output = PipeWriter.Create(new NetworkStream(socket));
        FrameWriter.Write(output, FrameType.Request, request);
        await output.FlushAsync();
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
        var requests = edge.NewInstanceRequests(edge.Gate, edge.Options, store);
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

    [Fact]
    public async Task What_would_happen_twice_is_never_called_safe_to_send_again()
    {
        using var deaf = edge.NewGate(Impatient, _ => false);
        var clients = edge.NewEnvironmentRequests(deaf, Impatient);
        var start = new Environment.StartInstanceRequest { ImageId = edge.Image, TenantId = EdgeHost.Tenant };
        var repeatable = start.Clone();
        repeatable.InstanceId = edge.NewName();
        foreach (var (request, code, advice) in new (Environment.RpcRequest, string, string)[]
        {
            (new() { SendCustomSignal = new() { InstanceId = "i", CheckpointId = "k" } }, "SEND_CUSTOM_SIGNAL_ERROR",
                "the signal may have been sent: look at the instance before sending it again"),
            (new() { StartInstance = start }, "START_INSTANCE_ERROR",
                "an instance may have been started: look at the list before sending it again; with an instance_id "
                + "it could be repeated"),
            (new() { StartInstance = repeatable }, "START_INSTANCE_ERROR", ErrorCodes.SafeToRepeat),
            (new() { StopInstance = new() { InstanceId = "i" } }, "STOP_INSTANCE_ERROR", ErrorCodes.SafeToRepeat),
        })
        {
            var answer = await clients.HandleAsync(request, default);
            Assert.Equal(code, answer.Error?.Code);
            Assert.EndsWith("; " + advice, answer.Error!.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Only_an_event_with_a_time_is_called_safe_to_send_again()
    {
        using var deaf = edge.NewGate(Impatient, _ => false);
        var workflows = edge.NewInstanceRequests(deaf, Impatient);
        foreach (var (time, advice) in new[]
        {
            (0L, "the event may have been stored: with a timestamp_ms it could be sent again"),
            (1L, ErrorCodes.SafeToRepeat),
        })
        {
            var happened = new InstanceEvent
            {
                InstanceId = "i", EventType = InstanceEventType.EventCustom, TimestampMs = time,
            };
            var answer = await workflows.HandleAsync(
                new RpcRequest { InstanceEvent = happened }, new WorkflowOrigin.Connection(), default);
            Assert.Equal(ErrorCodes.InstanceEvent, answer!.Error?.Code);
            Assert.EndsWith("; " + advice, answer.Error!.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_request_without_a_reply_waits_for_as_long_as_writes_do()
    {
        var (questions, hears) = (0, false);
        using var gate = edge.NewGate(
            Impatient, _ => Interlocked.Increment(ref questions) > 0 && Volatile.Read(ref hears));
        var requests = edge.NewInstanceRequests(gate, Impatient);
        foreach (var door in WorkflowClient.Doors)
        {
            await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
            Volatile.Write(ref hears, false);
            questions = 0;
            var happened = workflow.Event(InstanceEventType.EventCustom);
            var calls = new RpcRequest[]
            {
                new() { InstanceEventBatch = new() { Events = { happened } } },
                new() { RetryAttempt = new() { InstanceId = workflow.Id, CheckpointId = "k", AttemptNumber = 2 } },
                new() { SignalAck = new() { InstanceId = workflow.Id, Acknowledged = true } },
            }.Select(r => requests.HandleAsync(r, new WorkflowOrigin.Connection(), default).AsTask()).ToList();
            // Ten questions of each take longer than another request may.
            await Eventually.HoldsAsync(() => Volatile.Read(ref questions) > 30);
            Assert.All(calls, call => Assert.False(call.IsCompleted));
            Volatile.Write(ref hears, true);
            Assert.All(await Task.WhenAll(calls), Assert.Null);
            Assert.Equal(2u, await CountEventsAsync(workflow.Id));
        }
    }

    [Theory]
    [InlineData("a-a", 2, null)]
    [InlineData("a-a-a", 3, null)]
    [InlineData("a--a", 1, 3)]
    public async Task A_batch_goes_on_after_an_event_that_is_not_answered_and_ends_after_two(
        string events, int stored, int? lost)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "socket");
        await using var store = await Store.OpenAsync(
            new StoreOptions
            {
                DatabaseUrl = await edge.NewDatabaseAsync(), DataDirectory = edge.DirectoryPath,
                ReconnectTimeout = Impatient.RequestTimeout,
            },
            default);
        using var gate = edge.NewGate(
            Impatient, command => command is not ReportCustom { Subtype: "-" });
        var requests = edge.NewInstanceRequests(gate, Impatient, store);
        var batch = new InstanceEventBatch();
        foreach (var subtype in events)
            batch.Events.Add(workflow.Event(InstanceEventType.EventCustom, "", subtype.ToString()));
        await using var server = await edge.NewInstanceServerAsync(requests, Impatient);
        server.Start();
        await using var client = new QuicClient<RpcRequest, RpcResponse>(
            server.Listener.LocalEndPoint, RpcResponse.Parser);
        var request = new RpcRequest { InstanceEventBatch = batch };
        Assert.Null(await client.CallAsync(request));
        Assert.Equal((uint)stored, await CountEventsAsync(workflow.Id));
        // Where an empty answer means that all of it is stored, there is an error instead.
        var answer = await requests.HandleAsync(
            request, new WorkflowOrigin.Socket(new(workflow.Id), new(0)), default);
        Assert.StartsWith(
            $"{lost ?? events.Count(c => c == '-')} of {events.Length} events may not have been stored: Instance '",
            answer!.Error?.Message, StringComparison.Ordinal);
        Assert.Equal((uint)stored, await CountEventsAsync(workflow.Id));
    }

    [Fact]
    public async Task A_failure_that_no_rule_knows_is_answered_and_ends_a_request_without_a_reply_with_nothing()
    {
        var gate = edge.NewGate(edge.Options, _ => true);
        gate.Dispose();
        var requests = edge.NewInstanceRequests(gate, edge.Options);
        await using var server = await edge.NewInstanceServerAsync(requests, edge.Options);
        server.Start();
        await using var client = new QuicClient<RpcRequest, RpcResponse>(
            server.Listener.LocalEndPoint, RpcResponse.Parser);
        const string Text = "The request failed in a way that was not expected: the daemon's log has the cause";
        var answer = await client.CallAsync(new RpcRequest { PollSignals = new() { InstanceId = "i" } });
        Assert.Equal(("POLL_SIGNALS_ERROR", Text), (answer!.Error?.Code, answer.Error?.Message));
        foreach (var request in (RpcRequest[])[
            new() { RetryAttempt = new() { InstanceId = "i" } },
            new() { SignalAck = new() { InstanceId = "i", Acknowledged = true } },
            new() { InstanceEventBatch = Batch("i").InstanceEventBatch }])
            Assert.Null(await client.CallAsync(request));
        var clients = edge.NewEnvironmentRequests(gate, edge.Options);
        var refused = await clients.HandleAsync(
            new Environment.RpcRequest { StopInstance = new() { InstanceId = "i" } }, default);
        Assert.Equal(("STOP_INSTANCE_ERROR", Text), (refused.Error?.Code, refused.Error?.Message));
        using var gone = new CancellationTokenSource();
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<Exception>(async () => await clients.HandleAsync(
            new Environment.RpcRequest { StopInstance = new() { InstanceId = "i" } }, gone.Token));
    }

    private EdgeOptions Impatient => edge.Options with
    {
        AskTimeout = TimeSpan.FromMilliseconds(50), RequestTimeout = TimeSpan.FromMilliseconds(200),
    };

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
