using Runtara.Protocol.Instances;
using Request = Runtara.Protocol.Instances.RpcRequest.RequestOneofCase;

namespace Runtara.Sdk.Tests;

// The daemon takes an attempt that waits in a sleep for idle when it asks nothing for a while, heartbeats aside.
public sealed class SleepBesideStepTests : IDisposable
{
    private readonly FakeDaemon _daemon = new();

    public void Dispose() => _daemon.Dispose();

    [Fact]
    public async Task A_step_that_runs_beside_a_sleep_shows_that_it_works()
    {
        var exit = await RunAsync(async workflow =>
        {
            var timeout = workflow.Sleep("timeout", TimeSpan.FromMinutes(5));
            var call = workflow.Step("call", _ => Until(() => _daemon.Count(Request.PollSignals) >= 3));
            Assert.Same(call, await Task.WhenAny(call, timeout));
        });

        Assert.Equal(WorkflowExitCode.Reported, exit);
        var polls = _daemon.Requests.Where(r => r.PollSignals is not null);
        Assert.All(polls, r => Assert.False(r.PollSignals.HasCheckpointId));
    }

    [Fact]
    public async Task A_step_shows_that_it_works_when_the_sleep_began_within_it_or_before_it_and_was_left()
    {
        await RunAsync(async workflow =>
        {
            await workflow.Step("outer", async ct =>
            {
                _ = workflow.Sleep("left", TimeSpan.FromMinutes(5));
                await Until(() => _daemon.Count(Request.PollSignals) >= 2);
            });
            var before = _daemon.Count(Request.PollSignals);
            await workflow.Step("later", _ => Until(() => _daemon.Count(Request.PollSignals) >= before + 2));
        });

        Assert.Contains("later", _daemon.Checkpoints.Keys);
    }

    [Fact]
    public async Task A_step_beside_a_sleep_hears_of_a_cancel()
    {
        await RunAsync(async workflow =>
        {
            _ = workflow.Sleep("timeout", TimeSpan.FromMinutes(5));
            await workflow.Step("call", ct =>
            {
                _daemon.Pending = new Signal { SignalType = SignalType.SignalCancel };
                return Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct);
            });
        });

        Assert.Contains(_daemon.Requests, r => r.SignalAck is { SignalType: SignalType.SignalCancel });
    }

    [Fact]
    public async Task A_workflow_that_only_sleeps_asks_nothing_so_that_its_container_can_be_given_up()
    {
        List<RpcRequest> asleep = [];
        await RunAsync(
            async workflow =>
            {
                await workflow.Step("before", _ => Task.CompletedTask);
                var sleep = workflow.Sleep("night", TimeSpan.FromHours(8));
                await Until(() => SinceAsleep().Count >= 10);
                asleep = SinceAsleep();
                _daemon.SleepEnds.SetResult();
                await sleep;
            },
            heartbeat: TimeSpan.FromMilliseconds(5));

        Assert.All(asleep, r => Assert.Equal(Request.InstanceEvent, r.RequestCase));

        // From the first heartbeat on: the question of the one before may be under way when the sleep begins.
        List<RpcRequest> SinceAsleep() =>
            [.. _daemon.Requests.SkipWhile(r => r.Sleep is null).SkipWhile(r => r.InstanceEvent is null)];
    }

    private static async Task Until(Func<bool> condition)
    {
        while (!condition())
            await Task.Yield();
    }

    private Task<int> RunAsync(Func<WorkflowContext, Task> body, TimeSpan heartbeat = default)
    {
        var options = _daemon.OptionsWithInput() with
        {
            HeartbeatInterval = heartbeat,
            AwakeInterval = TimeSpan.FromMilliseconds(20),
        };
        return Workflow.RunAsync(
            async (workflow, _) => { await body(workflow); return new Receipt("done"); },
            Json.Default.Order, Json.Default.Receipt, options);
    }
}
