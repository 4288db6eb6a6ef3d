using Runtara.Protocol.Instances;

namespace Runtara.Sdk.Tests;

public sealed class SignalTests : IDisposable
{
    private readonly FakeDaemon _daemon = new();

    public void Dispose() => _daemon.Dispose();

    [Fact]
    public async Task A_cancel_stops_before_the_next_step_and_is_acknowledged()
    {
        _daemon.Pending = new Signal { SignalType = SignalType.SignalCancel };
        var second = false;

        using var run = Run(async workflow =>
        {
            await workflow.Step("first", _ => Task.CompletedTask);
            Assert.True(workflow.CancellationToken.IsCancellationRequested);
            await workflow.Step("second", _ => { second = true; return Task.CompletedTask; });
        });
        var exit = await run.RunAsync();

        Assert.Equal((WorkflowExitCode.Reported, false), (exit, second));
        Assert.Equal(SignalType.SignalCancel, Assert.Single(Acks()));
        Assert.Empty(_daemon.Events);
    }

    [Fact]
    public async Task A_pause_suspends_before_the_next_step()
    {
        _daemon.Pending = new Signal { SignalType = SignalType.SignalPause };

        using var run = Run(async workflow =>
        {
            await workflow.Step("first", _ => Task.CompletedTask);
            Assert.False(workflow.CancellationToken.IsCancellationRequested);
            await workflow.Step("second", _ => Task.CompletedTask);
        });
        var exit = await run.RunAsync();

        Assert.Equal(WorkflowExitCode.Reported, exit);
        Assert.Equal(InstanceEventType.EventSuspended, Assert.Single(_daemon.Events).EventType);
        Assert.Equal(SignalType.SignalPause, Assert.Single(Acks()));
        Assert.DoesNotContain("second", _daemon.Checkpoints.Keys);
    }

    [Fact]
    public async Task Cancel_beats_pause()
    {
        _daemon.Pending = new Signal { SignalType = SignalType.SignalPause };
        using var run = Run(async workflow =>
        {
            await workflow.Step("first", _ =>
            {
                _daemon.Pending = new Signal { SignalType = SignalType.SignalCancel };
                return Task.CompletedTask;
            });
            await workflow.Step("second", _ => Task.CompletedTask);
        });
        await run.RunAsync();

        Assert.Equal(SignalType.SignalCancel, Assert.Single(Acks()));
    }

    [Fact]
    public async Task A_workflow_that_ends_before_it_notices_a_cancel_reports_its_result()
    {
        _daemon.Pending = new Signal { SignalType = SignalType.SignalCancel };
        using var run = Run(workflow => workflow.Step("only", _ => Task.CompletedTask));

        await run.RunAsync();

        Assert.Equal(InstanceEventType.EventCompleted, Assert.Single(_daemon.Events).EventType);
    }

    [Fact]
    public async Task The_heartbeat_tells_a_long_step_of_a_cancel()
    {
        _daemon.Pending = new Signal { SignalType = SignalType.SignalCancel };
        using var run = Run(
            workflow => workflow.Step("long", ct => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct)),
            heartbeat: TimeSpan.FromMilliseconds(10));

        Assert.Equal(WorkflowExitCode.Reported, await run.RunAsync());

        Assert.Contains(_daemon.Events, e => e.EventType == InstanceEventType.EventHeartbeat);
        Assert.Equal(SignalType.SignalCancel, Assert.Single(Acks()));
    }

    [Fact]
    public async Task A_pause_asked_during_a_try_that_fails_suspends_when_tries_are_left()
    {
        using var run = Run(workflow => workflow.Step(
            "flaky",
            async _ =>
            {
                _daemon.Pending = new Signal { SignalType = SignalType.SignalPause };
                await workflow.Step("within", _ => Task.CompletedTask);
                throw new IOException("away");
            },
            new StepRetry(2, TimeSpan.FromHours(1))));

        Assert.Equal(WorkflowExitCode.Reported, await run.RunAsync());

        Assert.Equal(InstanceEventType.EventSuspended, Assert.Single(_daemon.Events).EventType);
        Assert.Equal(SignalType.SignalPause, Assert.Single(Acks()));
    }

    [Theory]
    [InlineData("wait")]
    [InlineData("retry")]
    [InlineData("progress")]
    public async Task A_cancel_that_the_heartbeat_hears_of_ends_what_waits_with_the_exception_it_documents(string what)
    {
        using var over = new ManualResetEventSlim();
        var cancel = new Signal { SignalType = SignalType.SignalCancel };
        var failing = new StepRetry(2, TimeSpan.FromHours(1));
        _daemon.Override = r =>
        {
            if (r.InstanceEvent is { EventType: InstanceEventType.EventCustom })
                over.Wait();
            return null;
        };
        using var run = Run(
            async workflow =>
            {
                _daemon.Pending = what == "wait" ? null : cancel;
                var waits = what switch
                {
                    "wait" => workflow.WaitForSignal("approval", Json.Default.Receipt),
                    "retry" => workflow.Step("flaky", _ => throw new IOException("away"), failing),
                    _ => workflow.Progress("shipped"),
                };
                while (what == "wait" && !_daemon.Requests.Any(r => r.PollSignals is { CheckpointId: "approval" }))
                    await Task.Yield();
                _daemon.Pending = cancel;
                var thrown = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waits);
                Assert.IsType<WorkflowCancelledException>(thrown);
            },
            heartbeat: TimeSpan.FromMilliseconds(50));

        await run.RunAsync();
        over.Set();

        Assert.Equal(InstanceEventType.EventCompleted, _daemon.Events.Last().EventType);
    }

    [Fact]
    public async Task Termination_with_a_pending_cancel_ends_a_sleep_and_acknowledges()
    {
        var asleep = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var run = Run(async workflow =>
        {
            var sleep = workflow.Sleep("long", TimeSpan.FromHours(1));
            asleep.SetResult();
            await sleep;
        });
        var running = run.RunAsync();
        await asleep.Task;
        _daemon.Pending = new Signal { SignalType = SignalType.SignalCancel };

        await run.TerminateAsync();

        Assert.Equal(WorkflowExitCode.Reported, await running);
        Assert.Equal(SignalType.SignalCancel, Assert.Single(Acks()));
    }

    [Fact]
    public async Task Termination_without_a_signal_ends_the_process_unreported()
    {
        var asleep = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var run = Run(async workflow =>
        {
            var sleep = workflow.Sleep("long", TimeSpan.FromHours(1));
            asleep.SetResult();
            await sleep;
        });
        var running = run.RunAsync();
        await asleep.Task;

        await run.TerminateAsync();

        Assert.Equal(WorkflowExitCode.Terminated, await running);
        Assert.Empty(_daemon.Events);
    }

    private IEnumerable<SignalType> Acks() =>
        _daemon.Requests.Where(r => r.SignalAck is not null).Select(r => r.SignalAck.SignalType);

    private WorkflowRun<Order, Receipt> Run(Func<WorkflowContext, Task> body, TimeSpan heartbeat = default)
    {
        var options = _daemon.OptionsWithInput() with
        {
            HeartbeatInterval = heartbeat,
            SignalPollInterval = TimeSpan.FromHours(1),
            HandleTermination = false,
        };
        return new WorkflowRun<Order, Receipt>(
            async (workflow, _) => { await body(workflow); return new Receipt("done"); },
            Json.Default.Order, Json.Default.Receipt, options);
    }
}
