using System.Diagnostics;
using System.Net;
using Microsoft.Data.Sqlite;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol;
using Runtara.Protocol.Environments;

namespace Runtara.EndToEnd.Tests;

/// <summary>Another process (this one) takes the SQLite file below a daemon at work, and lets go of it again.</summary>
[Collection(OutageCollection.Name)]
public sealed class HeldDatabaseTests(WorkflowImage workflow, ITestOutputHelper output)
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task A_SQLite_file_that_another_process_holds_is_waited_for_and_loses_nothing()
    {
        await using var daemon = new DaemonProcess(output, null, "edge.request-timeout=8s");
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        await daemon.Client.StartAsync(Tenant, image, "order", """{"steps":20,"stepMilliseconds":200}""");
        await Eventually.IsAsync(
            () => Task.FromResult(daemon.LogOf(Tenant, "order")?.Has("ack 2") == true), saved => saved, Minute,
            "it saves checkpoints");

        var file = Path.Combine(daemon.DataDirectory, "runtara.db");
        await using (var other = await HoldAsync(daemon))
        {
            var refused = await daemon.Client.CallAsync(new RpcRequest
            {
                StartInstance = new() { TenantId = Tenant, ImageId = image, InstanceId = "refused" },
            });
            Assert.True(refused.Error is not null, $"{refused}\n{daemon.Log}");
            Assert.Contains("another process holds it (SQLite Error 5", refused.Error.Message);
            Assert.Contains($"fuser '{file}'", refused.Error.Message);
            Assert.EndsWith(ErrorCodes.SafeToRepeat, refused.Error.Message, StringComparison.Ordinal);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, await daemon.ProbeAsync("readyz"));
            // What began while it was held is carried out when it is not any more.
            var late = daemon.Client.CallAsync(new RpcRequest
            {
                StartInstance = new()
                {
                    TenantId = Tenant,
                    ImageId = image,
                    InstanceId = "late",
                    Input = Google.Protobuf.ByteString.CopyFromUtf8("""{"steps":1}"""),
                },
            });
            await Eventually.PauseAsync();
            Assert.False(late.IsCompleted);
            await other.DisposeAsync();
            Assert.True((await late).StartInstance?.Success);
        }

        foreach (var (id, sum) in ((string, int)[])[("order", 190), ("late", 0)])
        {
            var ended = await daemon.Client.EndAsync(id, Minute);
            Assert.Equal((InstanceStatus.StatusCompleted, ""), (ended.Status, ended.Error));
            Assert.Equal($$"""{"sum":{{sum}},"attempt":1}""", ended.Output.ToStringUtf8());
            Assert.Empty(daemon.LogOf(Tenant, id)!.RunAgainAfterAck());
        }
        await Eventually.IsAsync(
            () => daemon.ProbeAsync("readyz"), status => status == HttpStatusCode.OK, Minute, "it is ready again");
        SaysItOnce(daemon);
    }

    /// <summary>
    /// Longer than writes wait: those of a workflow at work, of one that exits and of one whose sleep is over fail.
    /// </summary>
    [Fact]
    public async Task A_SQLite_file_that_is_held_for_longer_than_writes_wait_loses_nothing_and_leaves_nobody_stuck()
    {
        await using var daemon = new DaemonProcess(
            output, null, "edge.request-timeout=4s", "database.reconnect-timeout=2s", "wakes.ensure-interval=2s");
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        await daemon.Client.StartAsync(Tenant, image, "order", """{"steps":20,"stepMilliseconds":200}""");
        await daemon.Client.StartAsync(Tenant, image, "silent", """{"mode":"report","gateAt":1}""");
        await daemon.Client.StartAsync(Tenant, image, "sleeper", """{"mode":"sleep","seconds":4,"steps":0}""");
        foreach (var (id, line) in ((string, string)[])[
            ("order", "ack 2"), ("silent", "waiting"), ("sleeper", "begin 1")])
        {
            await Eventually.IsAsync(
                () => Task.FromResult(daemon.LogOf(Tenant, id)?.Has(line) == true), has => has, Minute,
                $"{id}: {line}");
        }

        var start = new RpcRequest
        {
            StartInstance = new() { TenantId = Tenant, ImageId = image, InstanceId = "refused" },
        };
        await using (await HoldAsync(daemon))
        {
            await File.WriteAllTextAsync(Path.Combine(daemon.RunDirectory(Tenant, "silent"), "workspace", "go"), "");
            foreach (var failed in (string[])["instance order could not save", "instance silent could not save"])
            {
                var clock = Stopwatch.StartNew();
                var refused = await daemon.Client.CallAsync(start);
                Assert.Contains("another process holds it (SQLite Error 5", refused.Error?.Message);
                Assert.EndsWith(ErrorCodes.SafeToRepeat, refused.Error!.Message, StringComparison.Ordinal);
                Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(4 + 2));
                await Eventually.IsAsync(
                    () => Task.FromResult(daemon.Log), log => log.Contains(failed, StringComparison.Ordinal), Minute,
                    failed);
            }
            Assert.Equal(HttpStatusCode.ServiceUnavailable, await daemon.ProbeAsync("readyz"));
            Assert.Equal(HttpStatusCode.OK, await daemon.ProbeAsync("livez"));
        }

        foreach (var (id, result) in ((string, string)[])[
            ("order", """{"sum":190,"attempt":1}"""), ("silent", """{"reported":true}"""),
            ("sleeper", """{"sum":0,"attempt":1}""")])
        {
            var ended = await daemon.Client.EndAsync(id, Minute);
            Assert.Equal((InstanceStatus.StatusCompleted, ""), (ended.Status, ended.Error));
            Assert.Equal(result, ended.Output.ToStringUtf8());
            Assert.Equal(1, daemon.LogOf(Tenant, id)!.Attempts);
            Assert.Empty(daemon.LogOf(Tenant, id)!.RunAgainAfterAck());
        }
        // Whether a refused start was carried out in the end is open; sent again, it is there once.
        Assert.True((await daemon.Client.CallAsync(start)).StartInstance?.Success);
        Assert.Equal(HttpStatusCode.OK, await daemon.ProbeAsync("readyz"));
        SaysItOnce(daemon);
    }

    private static async Task<IAsyncDisposable> HoldAsync(DaemonProcess daemon)
    {
        var file = Path.Combine(daemon.DataDirectory, "runtara.db");
        var other = new SqliteConnection($"Data Source={file};Pooling=False");
        await other.OpenAsync();
        await using var hold = other.CreateCommand();
        hold.CommandText = "BEGIN EXCLUSIVE";
        await hold.ExecuteNonQueryAsync();
        return other;
    }

    private static void SaysItOnce(DaemonProcess daemon)
    {
        Assert.Single(
            daemon.Log.Split('\n'), l => l.Contains("cannot be used now: another process", StringComparison.Ordinal));
        Assert.DoesNotContain("   at ", daemon.Log);
    }
}
