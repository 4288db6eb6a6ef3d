using System.Text.Json.Serialization;
using Google.Protobuf;
using Runtara.Protocol;
using Runtara.Protocol.Instances;
using Request = Runtara.Protocol.Instances.RpcRequest.RequestOneofCase;

namespace Runtara.Sdk.Tests;

public sealed partial class WorkflowTests : IDisposable
{
    private readonly FakeDaemon _daemon = new();
    private readonly StringWriter _log = new();

    public void Dispose() => _daemon.Dispose();

    [Fact]
    public async Task A_workflow_registers_and_reports_what_it_returns()
    {
        var exit = await RunAsync((_, order) => Task.FromResult(new Receipt($"for {order.Id}")));

        Assert.Equal(WorkflowExitCode.Reported, exit);
        var register = _daemon.Requests.First().RegisterInstance;
        Assert.Equal(("i-1", "t-1"), (register.InstanceId, register.TenantId));
        var ended = Assert.Single(_daemon.Events);
        Assert.Equal(InstanceEventType.EventCompleted, ended.EventType);
        Assert.Equal("""{"Text":"for 7"}""", ended.Payload.ToStringUtf8());
    }

    [Fact]
    public async Task A_workflow_that_throws_reports_the_message_and_exits_with_1()
    {
        var exit = await RunAsync((_, _) => throw new InvalidOperationException("card declined"));

        Assert.Equal(WorkflowExitCode.Failed, exit);
        var ended = Assert.Single(_daemon.Events);
        Assert.Equal(InstanceEventType.EventFailed, ended.EventType);
        Assert.Equal("card declined", ended.Payload.ToStringUtf8());
        Assert.Contains("InvalidOperationException", _log.ToString());
    }

    [Fact]
    public async Task An_output_larger_than_a_frame_is_a_reported_failure()
    {
        var exit = await RunAsync((_, _) => Task.FromResult(new Receipt(new string('x', 65 << 20))));

        Assert.Equal(WorkflowExitCode.Failed, exit);
        var ended = Assert.Single(_daemon.Events);
        Assert.Equal(InstanceEventType.EventFailed, ended.EventType);
        Assert.StartsWith("The output was not accepted: ", ended.Payload.ToStringUtf8());
        Assert.Contains("a frame holds at most 67108864", ended.Payload.ToStringUtf8());
    }

    [Fact]
    public async Task An_output_that_the_daemon_does_not_take_is_a_reported_failure()
    {
        const string Why = "Validation error for 'payload': 9 bytes are more than the limit of 8";
        _daemon.Override = r => r.InstanceEvent is { EventType: InstanceEventType.EventCompleted }
            ? new RpcResponse { Error = new RpcError { Code = ErrorCodes.InstanceEvent, Message = Why } } : null;

        Assert.Equal(WorkflowExitCode.Failed, await RunAsync((_, _) => Task.FromResult(new Receipt("too long"))));

        var ended = _daemon.Events.Last();
        Assert.Equal(InstanceEventType.EventFailed, ended.EventType);
        Assert.Equal($"The output was not accepted: {Why}", ended.Payload.ToStringUtf8());
    }

    [Fact]
    public async Task An_error_of_any_length_is_reported()
    {
        await RunAsync((_, _) => throw new InvalidOperationException(new string('e', 5 << 20)));

        var ended = Assert.Single(_daemon.Events);
        Assert.Equal(InstanceEventType.EventFailed, ended.EventType);
        Assert.InRange(ended.Payload.Length, 1000, 1 << 20);
    }

    [Fact]
    public async Task A_result_of_a_step_that_is_larger_than_a_frame_is_an_error_with_a_code()
    {
        WorkflowException? seen = null;
        await RunAsync(async (workflow, _) =>
        {
            var large = new Receipt(new string('x', 65 << 20));
            seen = await Assert.ThrowsAsync<WorkflowException>(
                () => workflow.Step("a", _ => Task.FromResult(large), Json.Default.Receipt));
            return new Receipt("");
        });

        Assert.Equal(WorkflowException.TooLarge, seen?.Code);
    }

    [Fact]
    public async Task An_input_of_another_shape_is_a_reported_failure()
    {
        var exit = await RunAsync((_, _) => Task.FromResult(new Receipt("")), input: "[1]");

        Assert.Equal(WorkflowExitCode.Failed, exit);
        Assert.Contains("is not a Order", Assert.Single(_daemon.Events).Payload.ToStringUtf8());
    }

    [Fact]
    public async Task A_refused_registration_runs_nothing_and_exits_with_2()
    {
        var refusal = new RegisterInstanceResponse { Error = "Instance 'i-1' is already completed" };
        _daemon.Override = r =>
            r.RequestCase == Request.RegisterInstance ? new RpcResponse { RegisterInstance = refusal } : null;

        var exit = await RunAsync((_, _) => throw new InvalidOperationException("must not run"));

        Assert.Equal(WorkflowExitCode.NotRegistered, exit);
        Assert.Contains("already completed", _log.ToString());
        Assert.Single(_daemon.Requests);
    }

    [Fact]
    public async Task A_step_runs_once_over_all_runs()
    {
        var ran = 0;
        Task<int> Run() => RunAsync(async (workflow, _) =>
            await workflow.Step("charge", _ => Task.FromResult(new Receipt($"run {++ran}")), Json.Default.Receipt));

        await Run();
        await Run();

        Assert.Equal(1, ran);
        Assert.All(_daemon.Events, e => Assert.Equal("""{"Text":"run 1"}""", e.Payload.ToStringUtf8()));
    }

    [Fact]
    public async Task A_step_without_a_result_runs_once_too()
    {
        var ran = 0;
        Task<int> Run() => RunAsync(async (workflow, _) =>
        {
            await workflow.Step("notify", _ => { ran++; return Task.CompletedTask; });
            return new Receipt("");
        });

        await Run();
        await Run();

        Assert.Equal(1, ran);
        Assert.Equal("null", _daemon.Checkpoints["notify"].ToStringUtf8());
    }

    [Fact]
    public async Task The_first_saved_result_wins_over_ours()
    {
        var exit = await RunAsync((workflow, _) => workflow.Step("charge", _ =>
        {
            _daemon.Checkpoints["charge"] = ByteString.CopyFromUtf8("""{"Text":"theirs"}""");
            return Task.FromResult(new Receipt("ours"));
        }, Json.Default.Receipt));

        Assert.Equal(WorkflowExitCode.Reported, exit);
        Assert.Contains("theirs", _daemon.Events.Single().Payload.ToStringUtf8());
    }

    [Fact]
    public async Task An_error_of_the_daemon_surfaces_with_its_code()
    {
        _daemon.Override = r => r.RequestCase == Request.Checkpoint
            ? new RpcResponse { Error = new RpcError { Code = ErrorCodes.Checkpoint, Message = "too large" } } : null;
        WorkflowException? seen = null;

        await RunAsync(async (workflow, _) =>
        {
            seen = await Assert.ThrowsAsync<WorkflowException>(() => workflow.Step("a", _ => Task.CompletedTask));
            return new Receipt("");
        });

        Assert.Equal((ErrorCodes.Checkpoint, "too large"), (seen?.Code, seen?.Message));
    }

    [Fact]
    public async Task A_key_used_twice_at_the_same_time_is_refused()
    {
        WorkflowException? seen = null;
        await RunAsync(async (workflow, _) =>
        {
            var release = new TaskCompletionSource();
            var first = workflow.Step("a", _ => release.Task);
            seen = await Assert.ThrowsAsync<WorkflowException>(() => workflow.Step("a", _ => Task.CompletedTask));
            release.SetResult();
            await first;
            return new Receipt("");
        });

        Assert.Equal(WorkflowException.KeyInUse, seen?.Code);
    }

    [Fact]
    public async Task A_step_is_tried_again_and_each_retry_is_recorded()
    {
        var tries = 0;
        await RunAsync(async (workflow, _) =>
        {
            Task Flaky(CancellationToken _) => ++tries < 3 ? throw new IOException($"try {tries}") : Task.CompletedTask;
            await workflow.Step("a", Flaky, new StepRetry(3, TimeSpan.FromMilliseconds(1)));
            return new Receipt("");
        });

        var retries = _daemon.Requests.Where(r => r.RetryAttempt is not null).Select(r => r.RetryAttempt);
        Assert.Equal([(2u, "try 1"), (3u, "try 2")], retries.Select(r => (r.AttemptNumber, r.ErrorMessage)));
        Assert.Equal(InstanceEventType.EventCompleted, _daemon.Events.Single().EventType);
    }

    [Fact]
    public async Task Steps_go_on_while_a_sleep_is_held()
    {
        await RunAsync(async (workflow, _) =>
        {
            var sleep = workflow.Sleep("settle", TimeSpan.FromSeconds(15));
            await workflow.Step("meanwhile", _ => Task.CompletedTask);
            Assert.False(sleep.IsCompleted);
            _daemon.SleepEnds.SetResult();
            await sleep;
            return new Receipt("");
        });

        var slept = _daemon.Requests.Single(r => r.Sleep is not null).Sleep;
        Assert.Equal(("settle", 15_000ul), (slept.CheckpointId, slept.DurationMs));
        Assert.Equal(InstanceEventType.EventCompleted, _daemon.Events.Single().EventType);
    }

    [Fact]
    public async Task Progress_is_a_custom_event()
    {
        await RunAsync(async (workflow, _) =>
        {
            await workflow.Progress("shipped", new Receipt("parcel"), Json.Default.Receipt);
            return new Receipt("");
        });

        var custom = _daemon.Events.First();
        Assert.Equal((InstanceEventType.EventCustom, "shipped"), (custom.EventType, custom.Subtype));
        Assert.Equal("""{"Text":"parcel"}""", custom.Payload.ToStringUtf8());
    }

    [Fact]
    public async Task Equal_events_have_times_of_their_own()
    {
        await RunAsync(async (workflow, _) =>
        {
            await Task.WhenAll(Enumerable.Range(0, 20).Select(
                _ => workflow.Progress("tick", new Receipt(""), Json.Default.Receipt)));
            return new Receipt("");
        });

        var times = _daemon.Events.Where(e => e.Subtype == "tick").Select(e => e.TimestampMs).ToList();
        Assert.Equal((20, 20), (times.Count, times.Distinct().Count()));
    }

    [Fact]
    public async Task A_custom_signal_is_awaited_and_saved()
    {
        _daemon.CustomSignals["approval"] = ByteString.CopyFromUtf8("""{"Text":"yes"}""");

        await RunAsync((workflow, _) => workflow.WaitForSignal("approval", Json.Default.Receipt));

        Assert.Contains("yes", _daemon.Events.Single().Payload.ToStringUtf8());
        Assert.Contains("yes", _daemon.Checkpoints["approval"].ToStringUtf8());
    }

    [Fact]
    public async Task No_two_events_or_retries_have_the_same_time()
    {
        var tries = 0;
        await RunAsync(
            async (workflow, _) =>
            {
                await Task.WhenAll(Enumerable.Range(0, 20).Select(i => workflow.Progress($"{i}")));
                Task Flaky(CancellationToken _) => ++tries < 3 ? throw new IOException("away") : Task.CompletedTask;
                await workflow.Step("a", Flaky, new StepRetry(3, TimeSpan.Zero));
                return new Receipt("");
            },
            time: new StoppedClock());

        var times = _daemon.Requests
            .Where(r => r.InstanceEvent is not null || r.RetryAttempt is not null)
            .Select(r => r.InstanceEvent?.TimestampMs ?? r.RetryAttempt.TimestampMs)
            .ToList();
        Assert.Equal(23, times.Count);
        Assert.Equal(23, times.Distinct().Count());
        var clock = new StoppedClock().GetUtcNow().ToUnixTimeMilliseconds();
        Assert.Equal((clock, clock + 22), (times.Min(), times.Max()));
    }

    private sealed class StoppedClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds(1_772_323_200_000);
    }

    private Task<int> RunAsync(
        Func<WorkflowContext, Order, Task<Receipt>> body, string input = """{"Id":7}""", TimeProvider? time = null)
    {
        var path = Path.Combine(_daemon.Folder, "input.json");
        File.WriteAllText(path, input);
        var options = new WorkflowOptions
        {
            InstanceId = "i-1",
            TenantId = "t-1",
            SocketPath = _daemon.SocketPath,
            InputPath = path,
            Log = _log,
            HeartbeatInterval = TimeSpan.Zero,
            Time = time ?? TimeProvider.System,
            SignalPollInterval = TimeSpan.FromMilliseconds(5),
        };
        return Workflow.RunAsync(body, Json.Default.Order, Json.Default.Receipt, options);
    }
}

internal sealed record Order(int Id);

internal sealed record Receipt(string Text);

[JsonSerializable(typeof(Order))]
[JsonSerializable(typeof(Receipt))]
internal sealed partial class Json : JsonSerializerContext;
