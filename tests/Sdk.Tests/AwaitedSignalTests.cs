using Google.Protobuf;
using Runtara.Protocol.Instances;

namespace Runtara.Sdk.Tests;

// The daemon takes a custom signal that it gave for handled at the attempt's next new checkpoint or event.
public sealed class AwaitedSignalTests : IDisposable
{
    private readonly FakeDaemon _daemon = new();

    public AwaitedSignalTests() => _daemon.CustomSignals["approval"] = ByteString.CopyFromUtf8("""{"Text":"yes"}""");

    public void Dispose() => _daemon.Dispose();

    [Fact]
    public async Task A_signal_that_comes_with_a_pause_is_saved_before_the_workflow_suspends()
    {
        _daemon.Pending = new Signal { SignalType = SignalType.SignalPause };

        await RunAsync(workflow => workflow.WaitForSignal("approval", Json.Default.Receipt));

        Assert.Contains("yes", _daemon.Checkpoints["approval"].ToStringUtf8());
        Assert.Equal(InstanceEventType.EventSuspended, Assert.Single(_daemon.Events).EventType);
    }

    [Theory]
    [InlineData("step")]
    [InlineData("event")]
    [InlineData("retry")]
    public async Task Nothing_of_another_branch_comes_between_a_signal_and_its_checkpoint(string other)
    {
        using var between = new ManualResetEventSlim();
        var polled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _daemon.Override = r =>
        {
            if (IsOf(other, r))
                between.Set();
            if (r.PollSignals is not null)
            {
                polled.TrySetResult();
                between.Wait(TimeSpan.FromMilliseconds(200));
            }
            return null;
        };

        await RunAsync(async workflow =>
        {
            var approval = workflow.WaitForSignal("approval", Json.Default.Receipt);
            await polled.Task;
            await OtherAsync(other, workflow);
            await approval;
        });

        var order = _daemon.Requests.Where(r => IsOf(other, r) || r.Checkpoint is { CheckpointId: "approval" });
        Assert.Equal("approval", order.First().Checkpoint?.CheckpointId);
        Assert.True(between.IsSet);
    }

    [Fact]
    public async Task A_suspension_waits_for_the_checkpoint_of_a_signal_that_was_given()
    {
        using var between = new ManualResetEventSlim();
        var polled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _daemon.Override = r =>
        {
            if (r.InstanceEvent is not null)
                between.Set();
            if (r.PollSignals is not null)
            {
                polled.TrySetResult();
                between.Wait(TimeSpan.FromMilliseconds(200));
            }
            return null;
        };

        await RunAsync(async workflow =>
        {
            _ = workflow.WaitForSignal("approval", Json.Default.Receipt);
            await polled.Task;
            throw new WorkflowPausedException();
        });

        var order = _daemon.Requests.Where(r => r.InstanceEvent is not null || r.Checkpoint is not null).ToList();
        Assert.Equal(["approval", null], order.Select(r => r.Checkpoint?.CheckpointId));
    }

    [Fact]
    public async Task Steps_are_saved_while_a_signal_does_not_come()
    {
        _daemon.CustomSignals.Clear();
        await RunAsync(async workflow =>
        {
            var approval = workflow.WaitForSignal("approval", Json.Default.Receipt);
            while (!_daemon.Requests.Any(r => r.PollSignals is not null))
                await Task.Yield();
            await workflow.Step("other", _ => Task.CompletedTask);
            Assert.False(approval.IsCompleted);
        });

        Assert.Contains("other", _daemon.Checkpoints.Keys);
    }

    private static bool IsOf(string other, RpcRequest r) => other switch
    {
        "step" => r.Checkpoint is { CheckpointId: "other" },
        "event" => r.InstanceEvent is { EventType: InstanceEventType.EventCustom },
        _ => r.RetryAttempt is not null,
    };

    private static Task OtherAsync(string other, WorkflowContext workflow)
    {
        var tries = 0;
        return other switch
        {
            "step" => workflow.Step("other", _ => Task.CompletedTask),
            "event" => workflow.Progress("other"),
            _ => workflow.Step(
                "other",
                _ => ++tries < 2 ? throw new IOException("away") : Task.CompletedTask,
                new StepRetry(2, TimeSpan.Zero)),
        };
    }

    private Task<int> RunAsync(Func<WorkflowContext, Task> body)
    {
        var options = _daemon.OptionsWithInput() with
        {
            SignalPollInterval = TimeSpan.FromHours(1),
        };
        return Workflow.RunAsync(
            async (workflow, _) => { await body(workflow); return new Receipt("done"); },
            Json.Default.Order, Json.Default.Receipt, options);
    }
}
