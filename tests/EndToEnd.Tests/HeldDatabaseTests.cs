using System.Net;
using Microsoft.Data.Sqlite;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol;
using Runtara.Protocol.Environments;

namespace Runtara.EndToEnd.Tests;

/// <summary>Another process (this one) takes the SQLite file below a daemon at work, and lets go of it again.</summary>
[Collection(DaemonCollection.Name)]
public sealed class HeldDatabaseTests(WorkflowImage workflow)
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task A_SQLite_file_that_another_process_holds_is_waited_for_and_loses_nothing()
    {
        await using var daemon = new DaemonProcess(null, "edge.request-timeout=8s");
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        await daemon.Client.StartAsync(Tenant, image, "order", """{"steps":20,"stepMilliseconds":200}""");
        await Eventually.IsAsync(
            () => Task.FromResult(daemon.LogOf(Tenant, "order")?.Has("ack 2") == true), saved => saved, Minute,
            "it saves checkpoints");

        var file = Path.Combine(daemon.DataDirectory, "runtara.db");
        await using (var other = new SqliteConnection($"Data Source={file};Pooling=False"))
        {
            await other.OpenAsync();
            await using var hold = other.CreateCommand();
            hold.CommandText = "BEGIN EXCLUSIVE";
            await hold.ExecuteNonQueryAsync();

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
            await other.CloseAsync();
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
        Assert.Single(
            daemon.Log.Split('\n'), l => l.Contains("cannot be used now: another process", StringComparison.Ordinal));
        Assert.DoesNotContain("   at ", daemon.Log);
    }
}
