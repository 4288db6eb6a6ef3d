using System.Globalization;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol.Environments;
using Runtara.Runner.Tests;
using Runtara.Testing.Postgres;

namespace Runtara.EndToEnd.Tests;

/// <summary>Many short lives through crun, one after another and several at a time.</summary>
[Collection(DaemonCollection.Name)]
public class ManyStartsTests(ITestOutputHelper output) : Story(output)
{
    private const string Tenant = "acme";
    private const int Starts = 200;
    private const int AtATime = 8;
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public Task Two_hundred_starts_8_at_a_time_all_complete_on_SQLite() => AllCompleteAsync(null);

    [Fact]
    public async Task Two_hundred_starts_8_at_a_time_all_complete_on_PostgreSQL()
    {
        await using var postgres = await PostgresServer.StartAsync();
        await AllCompleteAsync(await postgres.CreateDatabaseAsync());
    }

    private async Task AllCompleteAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl, $"runner.capacity={AtATime}");
        await daemon.StartAsync();
        var program = Path.Combine(daemon.DataDirectory, "instant");
        await File.WriteAllBytesAsync(program, StaticProgram.Compile("instant"));
        var image = await daemon.Client.RegisterAsync(Tenant, "instant", program);

        await Parallel.ForEachAsync(
            Enumerable.Range(0, Starts), new ParallelOptions { MaxDegreeOfParallelism = AtATime }, async (i, _) =>
            {
                var id = string.Create(CultureInfo.InvariantCulture, $"instant-{i}");
                var started = await daemon.Client.StartAsync(Tenant, image, id, "{}");
                Assert.True(started.Success, started.Error);
                var ended = await daemon.Client.EndAsync(id, Minute);
                Assert.Equal(
                    (InstanceStatus.StatusCompleted, "", "1", 1u),
                    (ended.Status, ended.Error, ended.Output.ToStringUtf8(), ended.RetryCount));
            });

        var list = await daemon.Client.PersistAsync(
            new RpcRequest { ListInstances = new() { Status = InstanceStatus.StatusCompleted, Limit = 1 } });
        Assert.Equal((uint)Starts, list.ListInstances.TotalCount);
        await Eventually.IsAsync(() => daemon.StatAsync("containers"), n => n == 0, Minute, "no container is left");
    }
}
