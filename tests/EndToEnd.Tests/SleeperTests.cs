using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol.Environments;

namespace Runtara.EndToEnd.Tests;

/// <summary>
/// A long sleep holds no process and no memory, ends on time, and stops no step beside it. On both databases at once.
/// </summary>
[Collection(PatientCollection.Name)]
public sealed class SleeperTests(WorkflowImage workflow, Databases databases, ITestOutputHelper output)
    : StoryUnderFaults(output)
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    /// <summary>What becomes of the daemon while an instance sleeps.</summary>
    public enum Daemon
    {
        Stays, Restarts, IsDownAtTheWake,
    }

    [Theory]
    [InlineData(Daemon.Stays)]
    [InlineData(Daemon.Restarts)]
    [InlineData(Daemon.IsDownAtTheWake)]
    public Task A_sleeper_has_no_process_and_no_actor_and_wakes_on_time(Daemon fate) =>
        databases.EachAsync(url => SleepAsync(url, fate));

    private async Task SleepAsync(string? databaseUrl, Daemon fate)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        await daemon.Client.StartAsync(Tenant, image, "sleeper", """{"mode":"sleep","seconds":15,"steps":1}""");
        await Eventually.IsAsync(
            () => daemon.Client.StatusAsync("sleeper"), s => s.Status == InstanceStatus.StatusSuspended, Minute,
            "the sleeper hibernates");
        await Eventually.IsAsync(
            async () => (await daemon.StatAsync("containers"), await daemon.StatAsync("instances_in_memory")),
            counts => counts == (0, 0), TimeSpan.FromSeconds(8), "no container and no actor is left");
        if (fate != Daemon.Stays)
        {
            await daemon.KillAsync();
            if (fate == Daemon.IsDownAtTheWake)
                await Eventually.PassAsync(TimeSpan.FromSeconds(16));
            await daemon.StartAsync();
        }
        var up = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        var ended = await daemon.Client.EndAsync("sleeper", Minute);
        Assert.Equal((InstanceStatus.StatusCompleted, ""), (ended.Status, ended.Error));
        Assert.Equal(1u, ended.RetryCount);
        if (fate == Daemon.IsDownAtTheWake)
            // Counted from the daemon's own start: the instance recovers first, and calls to the database fail.
            Assert.InRange(ended.FinishedAtMs - up, -5_000, 10_000);
        else
            Assert.InRange(ended.FinishedAtMs - ended.StartedAtMs, 15_000, 20_000);
        Assert.Equal(2, WorkflowLog.Read(daemon.RunDirectory(Tenant, "sleeper")).Attempts);
    }

    [Fact]
    public Task A_step_that_races_a_sleep_is_not_interrupted_nor_is_a_step_after_it() =>
        databases.EachAsync(RaceAsync);

    private async Task RaceAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        await daemon.Client.StartAsync(Tenant, image, "racer", """{"mode":"race","seconds":6,"steps":1}""");
        var ended = await daemon.Client.EndAsync("racer", Minute);
        Assert.Equal((InstanceStatus.StatusCompleted, ""), (ended.Status, ended.Error));
        Assert.Equal("""{"sum":0,"attempt":1}""", ended.Output.ToStringUtf8());
        Assert.Equal(1, WorkflowLog.Read(daemon.RunDirectory(Tenant, "racer")).Attempts);
    }
}
