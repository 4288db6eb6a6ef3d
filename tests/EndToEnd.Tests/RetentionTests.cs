using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol.Environments;

namespace Runtara.EndToEnd.Tests;

/// <summary>What ended long ago is removed and its id is free; what sleeps stays.</summary>
[Collection(OutageCollection.Name)]
public class RetentionTests(WorkflowImage workflow, Databases databases, ITestOutputHelper output) : Story(output)
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public Task What_ended_is_removed_and_what_sleeps_stays() => databases.EachAsync(RemoveAsync);

    private async Task RemoveAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(
            databaseUrl, "retention.completed=2s", "retention.failed=never", "retention.run-directories=1s",
            "retention.interval=200ms", "sleep.hibernate-idle=500ms");
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        await daemon.Client.StartAsync(Tenant, image, "sleeper", """{"mode":"sleep","seconds":20,"steps":1}""");
        await daemon.Client.StartAsync(Tenant, image, "failed", """{"mode":"crash","crashes":99}""");
        await daemon.Client.StartAsync(Tenant, image, "done", """{"steps":2,"stepMilliseconds":10}""");
        await daemon.Client.EndAsync("done", Minute);
        await daemon.Client.EndAsync("failed", Minute);

        await GoneAsync(daemon, "done");
        await Eventually.IsAsync(
            () => Task.FromResult(Directory.Exists(daemon.RunDirectory(Tenant, "failed"))), there => !there, Minute,
            "the run directory of what is kept for ever is gone too");
        Assert.Equal(["failed", "sleeper"], await ListAsync(daemon));
        var sleeper = await daemon.Client.StatusAsync("sleeper");
        Assert.Equal(InstanceStatus.StatusSuspended, sleeper.Status);
        Assert.True(Directory.Exists(daemon.RunDirectory(Tenant, "sleeper")));
        Assert.True(await daemon.StatAsync("instances_removed") >= 1);
        Assert.True(await daemon.StatAsync("run_directories_removed") >= 2);

        // The id again, with another input: nothing of the first life is in the way, and none of its steps is known.
        await daemon.Client.StartAsync(Tenant, image, "done", """{"steps":4,"stepMilliseconds":10}""");
        var again = await daemon.Client.EndAsync("done", Minute);
        Assert.Equal("""{"sum":6,"attempt":1}""", again.Output.ToStringUtf8());
        await GoneAsync(daemon, "done");

        var awake = await daemon.Client.EndAsync("sleeper", Minute);
        Assert.Equal((InstanceStatus.StatusCompleted, ""), (awake.Status, awake.Error));
        await GoneAsync(daemon, "sleeper");
        Assert.Equal(InstanceStatus.StatusFailed, (await daemon.Client.StatusAsync("failed")).Status);
        Assert.Contains("instances that ended long ago are removed", daemon.Log, StringComparison.Ordinal);
    }

    private static async Task GoneAsync(DaemonProcess daemon, string instance)
    {
        var status = await Eventually.IsAsync(
            () => daemon.Client.StatusAsync(instance), s => !s.Found, Minute, $"{instance} is removed");
        Assert.Contains("not found", status.Error, StringComparison.Ordinal);
        Assert.DoesNotContain(instance, await ListAsync(daemon));
        await Eventually.IsAsync(
            () => Task.FromResult(Directory.Exists(daemon.RunDirectory(Tenant, instance))), there => !there, Minute,
            $"the run directory of {instance} is gone");
    }

    private static async Task<List<string>> ListAsync(DaemonProcess daemon)
    {
        var list = await daemon.Client.PersistAsync(new RpcRequest { ListInstances = new() { TenantId = Tenant } });
        Assert.Equal((uint)list.ListInstances.Instances.Count, list.ListInstances.TotalCount);
        return [.. list.ListInstances.Instances.Select(i => i.InstanceId).Order(StringComparer.Ordinal)];
    }
}
