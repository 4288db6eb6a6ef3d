using System.Globalization;
using Akka.TestKit.Xunit2;

namespace Runtara.Persistence.Tests.Journal;

/// <summary>A database that comes back cost a pause: nothing acknowledged is lost and no actor stops.</summary>
[Collection(PostgresCollection.Name)]
public sealed class PostgresOutageTests : TestKit, IClassFixture<PostgresFixture>
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private readonly PostgresFixture _fixture;

    public PostgresOutageTests(PostgresFixture fixture) : base(TestSystem.Setup(fixture.Store), "outage") =>
        _fixture = fixture;

    [Fact]
    public async Task A_crash_of_the_server_under_load_loses_nothing_and_stops_nobody()
    {
        using var load = new Load(Sys, "crash", 100);
        load.Start();
        await load.ProgressAsync(5, Limit);
        await _fixture.Server.CrashRestartAsync();
        await load.ProgressAsync(5, Limit);
        await load.StopAsync();
        await AssertNothingLostAsync(load);
        Assert.True(await _fixture.Store.Catalog.PingAsync(default));
    }

    [Fact]
    public async Task Connections_killed_under_load_lose_nothing_and_stop_nobody()
    {
        using var load = new Load(Sys, "kill", 100);
        load.Start();
        for (var i = 0; i < 20; i++)
        {
            await load.ProgressAsync(1, Limit);
            await _fixture.ExecuteAsync(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'runtara'");
        }
        await load.ProgressAsync(2, Limit);
        await load.StopAsync();
        await AssertNothingLostAsync(load);
    }

    [Fact]
    public async Task Queries_and_recoveries_wait_for_the_server()
    {
        using (var load = new Load(Sys, "wait", 10))
        {
            load.Start();
            await load.ProgressAsync(5, Limit);
            await load.StopAsync();
        }
        await _fixture.Server.StopAsync("immediate");
        var query = _fixture.Store.Catalog.FindInstanceAsync(new("nobody"), default).AsTask();
        var checkpoint = _fixture.Store.Catalog.ReadCheckpointAsync(new("nobody"), "key", default).AsTask();
        using var again = new Load(Sys, "wait", 10);
        again.Start();
        Assert.False(await _fixture.Store.Catalog.PingAsync(default));
        await _fixture.Server.StartServerAsync();
        Assert.Null(await query);
        Assert.Null(await checkpoint);
        await again.ProgressAsync(1, Limit);
        Assert.All(again.Acknowledged.Values, last => Assert.True(last > 5));
        Assert.Equal(0, again.Killed);
        await again.StopAsync();
    }

    [Fact]
    public async Task An_unreachable_server_is_named_without_its_password()
    {
        var options = new StoreOptions
        {
            DatabaseUrl = "postgres://me:secret@127.0.0.1:1/db", DataDirectory = "/nonexistent",
            ReconnectTimeout = TimeSpan.FromMilliseconds(100),
        };
        var error = await Assert.ThrowsAsync<StoreUnavailableException>(
            async () => await Store.OpenAsync(options, default));
        Assert.Contains("postgres://me@127.0.0.1:1/db", error.Message);
        Assert.DoesNotContain("secret", error.ToString());
    }

    private async Task AssertNothingLostAsync(Load load)
    {
        Assert.Equal(0, load.Killed);
        foreach (var (id, acknowledged) in load.Acknowledged)
        {
            var stored = await _fixture.ExecuteAsync(
                $"SELECT count(*) || '/' || max(seq) FROM journal WHERE persistence_id = '{id}'");
            Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"{acknowledged}/{acknowledged}"), stored);
        }
    }
}
