using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol.Environments;
using Runtara.Testing.Postgres;

namespace Runtara.EndToEnd.Tests;

/// <summary>The main job, on real parts: daemon process, crun, QUIC, SQLite and PostgreSQL, SIGKILL.</summary>
[Collection(DaemonCollection.Name)]
public class LifeOfAnInstanceTests(WorkflowImage workflow, Databases databases, ITestOutputHelper output)
    : Story(output)
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private async Task<string> RegisterAsync(DaemonProcess daemon) =>
        await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);

    [Theory, MemberData(nameof(Databases.Names), MemberType = typeof(Databases))]
    public async Task A_workflow_runs_its_steps_and_completes(string database)
    {
        await using var daemon = NewDaemon(await databases.NewAsync(database));
        await daemon.StartAsync();
        var image = await RegisterAsync(daemon);
        var started = await daemon.Client.StartAsync(Tenant, image, "one", """{"steps":3,"stepMilliseconds":10}""");
        Assert.True(started.Success, started.Error);
        var ended = await daemon.Client.EndAsync("one", Minute);
        Assert.Equal((InstanceStatus.StatusCompleted, ""), (ended.Status, ended.Error));
        Assert.Equal("""{"sum":3,"attempt":1}""", ended.Output.ToStringUtf8());
        Assert.Equal("test-workflow", ended.ImageName);
        Assert.True(ended.HasStartedAtMs && ended.HasFinishedAtMs);
        var list = await daemon.Client.PersistAsync(new RpcRequest { ListInstances = new() { TenantId = Tenant } });
        Assert.Equal("one", Assert.Single(list.ListInstances.Instances).InstanceId);
        Assert.Equal(1u, list.ListInstances.TotalCount);
    }

    [Theory, MemberData(nameof(Databases.Names), MemberType = typeof(Databases))]
    public async Task The_same_start_twice_starts_once(string database)
    {
        await using var daemon = NewDaemon(await databases.NewAsync(database));
        await daemon.StartAsync();
        var image = await RegisterAsync(daemon);
        for (var i = 0; i < 2; i++)
            Assert.True((await daemon.Client.StartAsync(Tenant, image, "twice", """{"steps":1}""")).Success);
        var other = await daemon.Client.StartAsync(Tenant, image, "twice", """{"steps":2}""");
        Assert.Equal((false, "Instance 'twice' already exists"), (other.Success, other.Error));
        await daemon.Client.EndAsync("twice", Minute);
        Assert.Equal(1, WorkflowLog.Read(daemon.RunDirectory(Tenant, "twice")).Attempts);
    }

    [Fact]
    public Task Two_crashes_and_then_a_success_show_a_retry_count_of_three() =>
        databases.EachAsync(CrashTwiceAsync);

    private async Task CrashTwiceAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        var image = await RegisterAsync(daemon);
        await daemon.Client.StartAsync(Tenant, image, "bumpy", """{"mode":"crash","crashes":2,"steps":1}""");
        var ended = await daemon.Client.EndAsync("bumpy", Minute);
        Assert.Equal((InstanceStatus.StatusCompleted, 3u), (ended.Status, ended.RetryCount));
    }

    [Fact]
    public Task A_workflow_that_always_crashes_fails_after_three_attempts_and_says_why() =>
        databases.EachAsync(AlwaysCrashAsync);

    private async Task AlwaysCrashAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        var image = await RegisterAsync(daemon);
        await daemon.Client.StartAsync(Tenant, image, "doomed", """{"mode":"crash","crashes":99}""");
        var ended = await daemon.Client.EndAsync("doomed", Minute);
        Assert.Equal((InstanceStatus.StatusFailed, 3u, 3u), (ended.Status, ended.RetryCount, ended.MaxRetries));
        Assert.Contains("exited with code 42", ended.Error, StringComparison.Ordinal);
        Assert.Contains("crash 3 of 99, on purpose", ended.Error, StringComparison.Ordinal);
        Assert.Equal(3, WorkflowLog.Read(daemon.RunDirectory(Tenant, "doomed")).Attempts);
    }

    [Fact]
    public Task A_workflow_that_runs_longer_than_its_timeout_fails() =>
        databases.EachAsync(RunTooLongAsync);

    private async Task RunTooLongAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        var image = await RegisterAsync(daemon);
        var started = await daemon.Client.PersistAsync(new RpcRequest
        {
            StartInstance = new()
            {
                TenantId = Tenant,
                ImageId = image,
                InstanceId = "slow",
                TimeoutSeconds = 2,
                Input = Google.Protobuf.ByteString.CopyFromUtf8("""{"mode":"idle","seconds":60}"""),
            },
        });
        Assert.True(started.StartInstance.Success, started.StartInstance.Error);
        var ended = await daemon.Client.EndAsync("slow", Minute);
        Assert.Equal((InstanceStatus.StatusFailed, "Execution timeout after 2 s"), (ended.Status, ended.Error));
    }

    [Fact]
    public async Task A_hundred_instances_survive_five_kills_on_SQLite() => await SurviveKillsAsync(null);

    [Fact]
    public async Task A_hundred_instances_survive_five_kills_on_PostgreSQL()
    {
        await using var postgres = await PostgresServer.StartAsync();
        var url = await postgres.CreateDatabaseAsync();
        await SurviveKillsAsync(url);
        var saved = await postgres.ExecuteAsync(
            new Uri(url).AbsolutePath.TrimStart('/'),
            "SELECT count(DISTINCT instance_id) FROM snapshot JOIN instance USING (instance_id)");
        Assert.Equal(FaultPercent > 0 ? 100L : 0L, saved);
    }

    private async Task SurviveKillsAsync(string? databaseUrl)
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        var image = await RegisterAsync(daemon);
        var ids = Enumerable.Range(0, 100).Select(i => $"order-{i}").ToList();
        var starting = Parallel.ForEachAsync(
            ids, new ParallelOptions { MaxDegreeOfParallelism = 8 },
            async (id, _) =>
                Assert.True((await daemon.Client.StartAsync(Tenant, image, id, """{"steps":20}""")).Success));
        for (var kill = 0; kill < 5; kill++)
        {
            await Eventually.PassAsync(TimeSpan.FromMilliseconds(random.Next(300, 2500)));
            await daemon.KillAsync();
            await daemon.StartAsync();
        }
        await starting;
        foreach (var id in ids)
        {
            var ended = await daemon.Client.EndAsync(id, TimeSpan.FromMinutes(3));
            Assert.True(
                ended.Status == InstanceStatus.StatusCompleted, $"seed {seed}: {id} is {ended.Status}: {ended.Error}");
            Assert.StartsWith("""{"sum":190,""", ended.Output.ToStringUtf8(), StringComparison.Ordinal);
            Assert.True(
                ended.RetryCount == 1,
                $"seed {seed}: {id} needed {ended.RetryCount} attempts; what the daemon said of it:\n"
                + string.Join('\n', daemon.Log.Split('\n').Where(l => l.Contains(id, StringComparison.Ordinal))));
            var log = WorkflowLog.Read(daemon.RunDirectory(Tenant, id));
            Assert.Empty(log.RunAgainAfterAck());
            Assert.False(log.Overlapped, $"seed {seed}: two attempts of {id} ran at the same time");
        }
    }

    [Theory, MemberData(nameof(Databases.Names), MemberType = typeof(Databases))]
    public async Task The_daemon_is_live_and_ready_and_ends_with_success_on_SIGTERM(string database)
    {
        await using var daemon = NewDaemon(await databases.NewAsync(database));
        await daemon.StartAsync();
        Assert.Equal(System.Net.HttpStatusCode.OK, await daemon.ProbeAsync("livez"));
        Assert.Equal(System.Net.HttpStatusCode.OK, await daemon.ProbeAsync("readyz"));
        Assert.Equal(0, await daemon.TerminateAsync());
    }
}
