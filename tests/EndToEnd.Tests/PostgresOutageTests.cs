using System.Diagnostics;
using System.Net;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol;
using Runtara.Protocol.Environments;
using Runtara.Testing.Postgres;

namespace Runtara.EndToEnd.Tests;

/// <summary>PostgreSQL goes away below a daemon at work, and comes back.</summary>
[Collection(OutageCollection.Name)]
public sealed class PostgresOutageTests(WorkflowImage workflow, ITestOutputHelper output)
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Outage = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(5);

    [Fact]
    public Task Twenty_seconds_without_PostgreSQL_lose_nothing_and_leave_nobody_stuck() =>
        Databases.AtOnceAsync(["immediate", "fast"], GoWithoutAsync);

    private async Task GoWithoutAsync(string mode)
    {
        await using var postgres = await PostgresServer.StartAsync();
        await using var daemon = new DaemonProcess(
            output, await postgres.CreateDatabaseAsync(), $"edge.request-timeout={RequestTimeout.TotalSeconds}s");
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        var ids = Enumerable.Range(0, 20).Select(i => $"order-{i}").ToList();
        foreach (var id in ids)
            await StartAsync(daemon, image, id);
        foreach (var id in ids)
        {
            await Eventually.IsAsync(
                () => Task.FromResult(daemon.LogOf(Tenant, id)?.Has("ack 2") == true), saved => saved, Minute,
                $"{id} saves checkpoints");
        }

        await postgres.StopAsync(mode);
        await StaysUnhealthyAsync(daemon, image);
        var late = StartAsync(daemon, image, "late");
        await postgres.StartServerAsync();

        await late;
        foreach (var id in (string[])[.. ids, "late"])
        {
            var ended = await daemon.Client.EndAsync(id, Minute);
            Assert.Equal((InstanceStatus.StatusCompleted, ""), (ended.Status, ended.Error));
            Assert.Equal("""{"sum":190,"attempt":1}""", ended.Output.ToStringUtf8());
            var log = daemon.LogOf(Tenant, id)!;
            Assert.Empty(log.RunAgainAfterAck());
            Assert.Equal((1, true), (log.Attempts, log.Has("ack 19")));
        }
        Assert.True((await HealthAsync(daemon)).Healthy);
        Assert.Equal(HttpStatusCode.OK, await daemon.ProbeAsync("readyz"));
    }

    /// <summary>
    /// An outage beyond what writes wait for stops the actor with the exit report in its hands; it is asked for again.
    /// </summary>
    [Fact]
    public async Task An_exit_whose_report_could_not_be_saved_is_learnt_again()
    {
        await using var postgres = await PostgresServer.StartAsync();
        await using var daemon = new DaemonProcess(
            output, await postgres.CreateDatabaseAsync(), "database.reconnect-timeout=1s", "wakes.ensure-interval=2s",
            "edge.request-timeout=2s");
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        await StartAsync(daemon, image, "silent", """{"mode":"report","gateAt":1}""");
        await Eventually.IsAsync(
            () => Task.FromResult(daemon.LogOf(Tenant, "silent")?.Has("waiting") == true), runs => runs, Minute,
            "it waits for the file");
        await postgres.StopAsync("immediate");
        await File.WriteAllTextAsync(
            Path.Combine(daemon.RunDirectory(Tenant, "silent"), "workspace", "go"), "");
        await Eventually.IsAsync(
            () => Task.FromResult(daemon.Log),
            log => log.Contains("instance silent could not save", StringComparison.Ordinal), Minute,
            "the actor has failed to save the exit");
        await postgres.StartServerAsync();
        var ended = await daemon.Client.EndAsync("silent", Minute);
        Assert.Equal((InstanceStatus.StatusCompleted, ""), (ended.Status, ended.Error));
        Assert.Equal("""{"reported":true}""", ended.Output.ToStringUtf8());
        Assert.Equal(1, daemon.LogOf(Tenant, "silent")!.Attempts);
    }

    private static async Task StartAsync(
        DaemonProcess daemon, string image, string id, string input = """{"steps":20,"stepMilliseconds":300}""") =>
        Assert.True((await daemon.Client.StartAsync(Tenant, image, id, input)).Success);

    // Asks until the daemon has called itself unhealthy for the whole length of the outage; all that it is asked in
    // that time it refuses within the time of a request, and says that it may be asked again.
    private static async Task StaysUnhealthyAsync(DaemonProcess daemon, string image)
    {
        RpcRequest[] requests =
        [
            new() { GetInstanceStatus = new() { InstanceId = "order-0" } },
            new() { ListInstances = new() },
            new() { StartInstance = new() { TenantId = Tenant, ImageId = image, InstanceId = "refused" } },
        ];
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await daemon.ProbeAsync("readyz"));
        var outage = Stopwatch.StartNew();
        while (outage.Elapsed < Outage)
        {
            var answers = await Task.WhenAll(requests.Select(async request =>
            {
                var clock = Stopwatch.StartNew();
                return (Response: await daemon.Client.CallAsync(request), Took: clock.Elapsed);
            }));
            foreach (var (response, took) in answers)
            {
                Assert.EndsWith(ErrorCodes.SafeToRepeat, response.Error?.Message, StringComparison.Ordinal);
                Assert.True(took < RequestTimeout + TimeSpan.FromSeconds(5), $"{took} for {response}");
            }
            Assert.False((await HealthAsync(daemon)).Healthy);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, await daemon.ProbeAsync("readyz"));
            Assert.Equal(HttpStatusCode.OK, await daemon.ProbeAsync("livez"));
        }
    }

    private static async Task<HealthCheckResponse> HealthAsync(DaemonProcess daemon) =>
        (await daemon.Client.CallAsync(new RpcRequest { HealthCheck = new() })).HealthCheck;
}
