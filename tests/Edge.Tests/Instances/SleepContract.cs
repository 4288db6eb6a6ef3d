using System.Diagnostics;
using Runtara.Edge.Tests.Harness;
using Runtara.Protocol.Instances;

namespace Runtara.Edge.Tests.Instances;

public abstract class SleepContract(EdgeHost edge)
{
    public static TheoryData<string> Doors => WorkflowClient.Doors;

    [Theory, MemberData(nameof(Doors))]
    public async Task The_reply_of_a_short_sleep_is_held_until_it_is_over(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        var clock = Stopwatch.StartNew();
        Assert.NotNull((await workflow.SleepAsync("nap", 300)).Sleep);
        Assert.InRange(clock.ElapsedMilliseconds, 290, 10_000);
        var sleeping = workflow.SleepAsync("another nap", 300);
        await workflow.SaveAsync("k", "x");
        Assert.Equal(InstanceStatus.StatusRunning, (await workflow.StatusAsync()).Status);
        Assert.NotNull((await sleeping).Sleep);
        Assert.Equal(InstanceStatus.StatusRunning, (await workflow.StatusAsync()).Status);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task A_sleep_without_a_key_is_held_and_begins_anew_each_time(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        for (var i = 0; i < 2; i++)
        {
            var clock = Stopwatch.StartNew();
            Assert.NotNull((await workflow.SleepAsync("", 200)).Sleep);
            Assert.InRange(clock.ElapsedMilliseconds, 190, 10_000);
        }
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task No_duration_is_answered_at_once(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        Assert.NotNull((await workflow.SleepAsync("none", 0)).Sleep);
        Assert.NotNull((await workflow.SleepAsync("", 0)).Sleep);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task The_same_key_sleeps_only_for_what_remains(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        var clock = Stopwatch.StartNew();
        var first = workflow.SleepAsync("nap", 1000);
        // Durable by its key once the status shows the instance at it: a later request cannot move the wake time.
        await workflow.SaveAsync("k", "x");
        var again = await workflow.SleepAsync("nap", 60_000);
        Assert.NotNull(again.Sleep);
        Assert.NotNull((await first).Sleep);
        Assert.InRange(clock.ElapsedMilliseconds, 990, 20_000);
        clock.Restart();
        Assert.NotNull((await workflow.SleepAsync("nap", 60_000)).Sleep);
        Assert.InRange(clock.ElapsedMilliseconds, 0, 900);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Too_long_a_sleep_is_refused_with_the_limit(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        foreach (var ms in (ulong[])[3_600_001, ulong.MaxValue])
        {
            var refused = (await workflow.SleepAsync("long", ms)).Error;
            Assert.Equal("SLEEP_ERROR", refused.Code);
            Assert.Equal(
                $"Validation error for 'duration_ms': {ms} is more than 3600000 (edge.sleep-max)", refused.Message);
        }
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Who_does_not_run_cannot_sleep(string door)
    {
        await using var workflow = await WorkflowClient.ConnectAsync(edge, door, edge.NewName());
        var missing = (await workflow.SleepAsync("nap", 1)).Error;
        Assert.Equal(("SLEEP_ERROR", $"Instance '{workflow.Id}' not found"), (missing.Code, missing.Message));
        await workflow.RegisterAsync();
        await workflow.ReportAsync(InstanceEventType.EventCompleted);
        Assert.Contains("got 'completed'", (await workflow.SleepAsync("nap", 1)).Error.Message);
    }
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteSleepTests(EdgeHost edge) : SleepContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresSleepTests(PostgresEdgeHost edge) : SleepContract(edge);
