using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol.Environments;
using Runtara.Testing.Postgres;

namespace Runtara.EndToEnd.Tests;

/// <summary>Containers outlive the daemon (D6): killed or stopped, the next one takes them up.</summary>
[Collection(OutageCollection.Name)]
public class ContainersOutliveTests(WorkflowImage workflow, Databases databases, ITestOutputHelper output)
    : Story(output)
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Twenty_containers_outlive_a_killed_daemon_on_SQLite() => await OutliveKillAsync(null);

    [Fact]
    public async Task Twenty_containers_outlive_a_killed_daemon_on_PostgreSQL()
    {
        await using var postgres = await PostgresServer.StartAsync();
        await OutliveKillAsync(await postgres.CreateDatabaseAsync());
    }

    private async Task OutliveKillAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl, "runner.capacity=20");
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        // Some work on through the kill, some end while the daemon is down, well or badly, and some long after.
        var working = await StartAsync(daemon, image, "working", _ => """{"steps":60,"stepMilliseconds":100}""");
        var reporting = await StartAsync(daemon, image, "reporting", _ => """{"mode":"report","gateAt":1}""");
        var failing = await StartAsync(
            daemon, image, "failing",
            i => $$"""{"mode":"crash","crashes":99,"exitCode":{{40 + i}},"gateAt":3}""");
        var waiting = await StartAsync(daemon, image, "waiting", _ => """{"steps":2,"gateAt":1}""");
        await LogsAsync(daemon, working, "run 0");
        foreach (var gated in new[] { reporting, failing, waiting })
            await LogsAsync(daemon, gated, "waiting");

        await daemon.KillAsync();
        Open(daemon, [.. reporting, .. failing]);
        await Eventually.IsAsync(
            () => Task.FromResult(ExitsOnDisk(daemon)), n => n == 10, Minute, "ten ended while no daemon was there");
        await daemon.StartAsync();
        foreach (var (id, i) in failing.Select((id, i) => (id, i)))
        {
            var ended = await EndedAsync(daemon, id, InstanceStatus.StatusFailed);
            Assert.StartsWith($"exited with code {40 + i}; the last of its stderr:\ncrash 3 of 99", ended.Error);
        }
        foreach (var id in reporting)
        {
            var ended = await EndedAsync(daemon, id, InstanceStatus.StatusCompleted);
            Assert.Equal("""{"reported":true}""", ended.Output.ToStringUtf8());
        }
        Open(daemon, waiting);
        foreach (var (id, sum) in working.Select(id => (id, 1770)).Concat(waiting.Select(id => (id, 1))))
        {
            var ended = await EndedAsync(daemon, id, InstanceStatus.StatusCompleted);
            Assert.Equal($$"""{"sum":{{sum}},"attempt":1}""", ended.Output.ToStringUtf8());
        }
        foreach (var id in (string[])[.. working, .. reporting, .. waiting])
            Assert.Equal(1, WorkflowLog.Read(daemon.RunDirectory(Tenant, id)).Attempts);
        foreach (var id in failing)
            Assert.Equal(3, WorkflowLog.Read(daemon.RunDirectory(Tenant, id)).Attempts);
        await Eventually.IsAsync(
            () => Task.FromResult(
                Directory.GetDirectories(Path.Combine(daemon.DataDirectory, "launches"), "runtara-*").Length),
            n => n == 0, Minute, "nothing of an ended launch is kept");
    }

    [Fact]
    public Task A_daemon_that_stops_leaves_its_containers_to_the_next() =>
        databases.EachAsync(OutliveStopAsync);

    private async Task OutliveStopAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync("runner.stop-containers-on-exit=false");
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        var working = await StartAsync(daemon, image, "working", _ => """{"steps":40,"stepMilliseconds":100}""");
        await LogsAsync(daemon, working, "run 2");

        Assert.Equal(0, await daemon.TerminateAsync());
        await daemon.StartAsync();

        foreach (var id in working)
        {
            var ended = await EndedAsync(daemon, id, InstanceStatus.StatusCompleted);
            Assert.Equal("""{"sum":780,"attempt":1}""", ended.Output.ToStringUtf8());
            Assert.Empty(WorkflowLog.Read(daemon.RunDirectory(Tenant, id)).RunAgainAfterAck());
        }
    }

    [Fact]
    public Task A_timeout_holds_over_a_restart_of_the_daemon() =>
        databases.EachAsync(OutliveTimeoutAsync);

    private async Task OutliveTimeoutAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        await daemon.Client.PersistAsync(new RpcRequest
        {
            StartInstance = new()
            {
                TenantId = Tenant,
                ImageId = image,
                InstanceId = "slow",
                TimeoutSeconds = 6,
                Input = Google.Protobuf.ByteString.CopyFromUtf8("""{"gateAt":1}"""),
            },
        });
        await LogsAsync(daemon, ["slow"], "waiting");
        await daemon.KillAsync();
        await daemon.StartAsync();

        var ended = await EndedAsync(daemon, "slow", InstanceStatus.StatusFailed);
        Assert.Equal("Execution timeout after 6 s", ended.Error);
        Assert.Equal(1, WorkflowLog.Read(daemon.RunDirectory(Tenant, "slow")).Attempts);
    }

    private static async Task<string[]> StartAsync(
        DaemonProcess daemon, string image, string name, Func<int, string> input)
    {
        var ids = Enumerable.Range(0, 5).Select(i => $"{name}-{i}").ToArray();
        await Parallel.ForEachAsync(ids.Index(), async (entry, _) => Assert.True(
            (await daemon.Client.StartAsync(Tenant, image, entry.Item, input(entry.Index))).Success));
        return ids;
    }

    private static async Task LogsAsync(DaemonProcess daemon, string[] ids, string line)
    {
        foreach (var id in ids)
        {
            var log = Path.Combine(daemon.RunDirectory(Tenant, id), "workspace", "log");
            await Eventually.IsAsync(
                async () => File.Exists(log) ? await File.ReadAllLinesAsync(log) : [], lines => lines.Contains(line),
                Minute, $"{id} says '{line}'");
        }
    }

    private static void Open(DaemonProcess daemon, string[] ids)
    {
        foreach (var id in ids)
            File.WriteAllText(Path.Combine(daemon.RunDirectory(Tenant, id), "workspace", "go"), "");
    }

    private static int ExitsOnDisk(DaemonProcess daemon) =>
        Directory.GetFiles(Path.Combine(daemon.DataDirectory, "launches"), "exit", SearchOption.AllDirectories).Length;

    /// <summary>The end of an instance, once what its last container used is known too.</summary>
    private static async Task<GetInstanceStatusResponse> EndedAsync(
        DaemonProcess daemon, string id, InstanceStatus status)
    {
        var ended = await Eventually.IsAsync(
            () => daemon.Client.StatusAsync(id),
            s => s.Status >= InstanceStatus.StatusCompleted && s.HasMemoryPeakBytes && s.HasCpuUsageUsec, Minute,
            $"{id} has ended and its container too");
        Assert.True(ended.Status == status, $"{id} is {ended.Status}: {ended.Error}");
        Assert.True(ended.MemoryPeakBytes > 0 && ended.CpuUsageUsec > 0, $"{id} used nothing");
        return ended;
    }
}
