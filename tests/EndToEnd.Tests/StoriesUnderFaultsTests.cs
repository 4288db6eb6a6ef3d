using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol.Environments;
using Runtara.Testing.Postgres;

namespace Runtara.EndToEnd.Tests;

/// <summary>
/// The stories of <see cref="LifeOfAnInstanceTests"/>, side by side on one daemon, while of a hundred calls to its
/// database five fail before, five fail after and five are late. They end as they do without.
/// </summary>
[Collection(DaemonCollection.Name)]
public sealed class StoriesUnderFaultsTests(WorkflowImage workflow)
{
    private const string Tenant = "acme";
    private const int Orders = 30;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    [Fact]
    public async Task Every_story_ends_as_without_faults_on_SQLite() => await TellAsync(null);

    [Fact]
    public async Task Every_story_ends_as_without_faults_on_PostgreSQL()
    {
        await using var postgres = await PostgresServer.StartAsync();
        var url = await postgres.CreateDatabaseAsync();
        await TellAsync(url);
        var saved = await postgres.ExecuteAsync(
            new Uri(url).AbsolutePath.TrimStart('/'),
            "SELECT count(*) FROM snapshot JOIN instance USING (instance_id)");
        Assert.True(saved is >= (long)Orders, $"{saved} snapshots");
    }

    private async Task TellAsync(string? databaseUrl)
    {
        // Few enough events for an order to have a snapshot when the daemon is killed.
        await using var daemon = new DaemonProcess(databaseUrl, "instances.snapshot-every=10") { FaultPercent = 5 };
        await daemon.StartAsync();
        try
        {
            var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
            await StartAsync(daemon, image, "sleeper", """{"mode":"sleep","seconds":15,"steps":1}""");
            await SurviveKillsAsync(daemon, image);
            // After the kills, for a crash that a kill hides is none that is counted.
            await StartAsync(daemon, image, "bumpy", """{"mode":"crash","crashes":2,"steps":1}""");
            await StartAsync(daemon, image, "doomed", """{"mode":"crash","crashes":99}""");
            await StartAsync(daemon, image, "slow", """{"mode":"idle","seconds":60}""", timeout: 2);
            await AssertEndsAsync(daemon);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{e.Message}; what the daemon said:\n{daemon.Log}", e);
        }
    }

    private static async Task StartAsync(
        DaemonProcess daemon, string image, string id, string input, uint? timeout = null)
    {
        var start = new StartInstanceRequest
        {
            TenantId = Tenant,
            ImageId = image,
            InstanceId = id,
            Input = Google.Protobuf.ByteString.CopyFromUtf8(input),
        };
        if (timeout is { } seconds)
            start.TimeoutSeconds = seconds;
        var response = await daemon.Client.PersistAsync(new RpcRequest { StartInstance = start });
        Assert.True(response.StartInstance?.Success, response.ToString());
    }

    private static async Task SurviveKillsAsync(DaemonProcess daemon, string image)
    {
        var starting = Parallel.ForEachAsync(
            Enumerable.Range(0, Orders), new ParallelOptions { MaxDegreeOfParallelism = 8 },
            async (i, _) => await StartAsync(daemon, image, $"order-{i}", """{"steps":10}"""));
        for (var kill = 1; kill <= 2; kill++)
        {
            var step = kill * 3;
            await Eventually.IsAsync(
                () => Task.FromResult(daemon.LogOf(Tenant, "order-0")?.Has($"ack {step}") == true), seen => seen,
                Patience, $"order-0 has saved step {step}");
            await daemon.KillAsync();
            await daemon.StartAsync();
        }
        await starting;
    }

    private static async Task AssertEndsAsync(DaemonProcess daemon)
    {
        for (var i = 0; i < Orders; i++)
        {
            var order = await AssertEndAsync(daemon, $"order-{i}", InstanceStatus.StatusCompleted, 1);
            Assert.StartsWith("""{"sum":45,""", order.Output.ToStringUtf8(), StringComparison.Ordinal);
            var log = WorkflowLog.Read(daemon.RunDirectory(Tenant, $"order-{i}"));
            Assert.Empty(log.RunAgainAfterAck());
            Assert.False(log.Overlapped, $"two attempts of order-{i} ran at the same time");
        }
        await AssertEndAsync(daemon, "bumpy", InstanceStatus.StatusCompleted, 3);
        var doomed = await AssertEndAsync(daemon, "doomed", InstanceStatus.StatusFailed, 3);
        Assert.Contains("exited with code 42", doomed.Error, StringComparison.Ordinal);
        var slow = await AssertEndAsync(daemon, "slow", InstanceStatus.StatusFailed, 1);
        Assert.Equal("Execution timeout after 2 s", slow.Error);
        var sleeper = await AssertEndAsync(daemon, "sleeper", InstanceStatus.StatusCompleted, 1);
        Assert.InRange(sleeper.FinishedAtMs - sleeper.StartedAtMs, 15_000, 60_000);
        Assert.Empty(WorkflowLog.Read(daemon.RunDirectory(Tenant, "sleeper")).RunAgainAfterAck());
    }

    private static async Task<GetInstanceStatusResponse> AssertEndAsync(
        DaemonProcess daemon, string id, InstanceStatus status, uint retryCount)
    {
        var ended = await daemon.Client.EndAsync(id, Patience);
        Assert.True(
            (ended.Status, ended.RetryCount) == (status, retryCount),
            $"{id} is {ended.Status} with the retry count {ended.RetryCount}: {ended.Error}");
        return ended;
    }
}
