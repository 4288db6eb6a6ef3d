using System.Globalization;
using Akka.Actor;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Testing.Postgres;

namespace Runtara.Persistence.Tests.Journal;

/// <summary>The tables of PostgreSQL are on a small disk of their own, which fills and has room again.</summary>
public sealed class PostgresFullDiskTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_disk_that_is_full_for_longer_than_writes_wait_fails_them_and_loses_nothing_acknowledged()
    {
        using var disk = Mounted.SmallDisk(64 << 20);
        await using var postgres = await PostgresServer.StartAsync();
        var log = new RecordingLogger();
        await using var store = await Store.OpenAsync(
            new StoreOptions
            {
                DatabaseUrl = await CreateDatabaseAsync(postgres, disk), DataDirectory = disk.Path, Logger = log,
                ReconnectTimeout = TimeSpan.FromSeconds(1),
            },
            default);
        using var system = ActorSystem.Create("full", TestSystem.Setup(store));
        using var first = new Load(system, "full", 10);
        first.Start();
        await first.ProgressAsync(5, Limit);

        disk.Fill();
        await Load.WaitAsync(() => first.Killed == 10, Limit);
        Assert.NotEmpty(log.LinesOf("No space left on device"));
        Assert.NotEmpty(log.LinesOf("have waited too long"));

        disk.Free();
        using var again = new Load(system, "full", 10);
        again.Start();
        await again.ProgressAsync(5, Limit);
        await again.StopAsync();
        Assert.Equal(0, again.Killed);
        foreach (var (id, acknowledged) in again.Acknowledged)
        {
            Assert.True(acknowledged > first.Acknowledged[id], $"{id}: {acknowledged}");
            Assert.Equal(
                string.Create(CultureInfo.InvariantCulture, $"{acknowledged}/{acknowledged}"),
                await postgres.ExecuteAsync(
                    "small", $"SELECT count(*) || '/' || max(seq) FROM journal WHERE persistence_id = '{id}'"));
        }
        await system.Terminate();
    }

    // The directory is the server's own, and so the server makes it.
    private static async Task<string> CreateDatabaseAsync(PostgresServer postgres, Mounted disk)
    {
        var tables = Path.Combine(disk.Path, "tables");
        await postgres.ExecuteAsync("postgres", $"COPY (SELECT 1) TO PROGRAM 'mkdir {tables}'");
        await postgres.ExecuteAsync("postgres", $"CREATE TABLESPACE small LOCATION '{tables}'");
        await postgres.ExecuteAsync("postgres", "CREATE DATABASE small TABLESPACE small");
        return postgres.UrlOf("small");
    }
}
