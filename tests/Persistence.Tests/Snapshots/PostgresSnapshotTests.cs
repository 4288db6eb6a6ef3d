using Npgsql;
using Runtara.Persistence.Snapshots;
using Runtara.Persistence.Tests.Journal;

namespace Runtara.Persistence.Tests.Snapshots;

/// <summary>The same on PostgreSQL, and what only a server has: other transactions, and an end of its own.</summary>
[Collection(PostgresCollection.Name)]
public sealed class PostgresSnapshotTests(PostgresFixture fixture)
    : SnapshotContract(fixture), IClassFixture<PostgresFixture>
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private SnapshotRow Row => new(Id, 3, At(3).ToUnixTimeMilliseconds() * 1000, 1, "m", [1, 2, 3]);

    [Fact]
    public async Task One_that_meets_a_removal_waits_for_it_and_is_not_stored()
    {
        await using var connection = await ConnectAsync();
        await using var removal = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, $"DELETE FROM instance WHERE instance_id = '{Id}'");
        var save = fixture.Store.Database.SaveSnapshotAsync(Row, default).AsTask();
        await WaitsForALockAsync();
        await removal.CommitAsync();
        await save.WaitAsync(Limit);
        Assert.Equal(0L, await CountAsync());
    }

    [Fact]
    public async Task A_removal_that_meets_one_passes_over_the_instance()
    {
        var end = At(9).ToUnixTimeMilliseconds() * 1000;
        await fixture.ExecuteAsync(
            $"UPDATE instance SET status = 4, finished_at = {end} WHERE instance_id = '{Id}'");
        await using var connection = await ConnectAsync();
        await using var save = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, $"SELECT FROM instance WHERE instance_id = '{Id}' FOR KEY SHARE");
        await fixture.Store.Database.SaveSnapshotAsync(Row, default);
        var removal = new Removal(RemovalStep.Instances, [Id], end, 0, 0);
        Assert.Equal(0, await fixture.Store.Database.RemoveAsync(removal, default));
        Assert.Equal(1L, await CountAsync());
        await save.CommitAsync();
        await fixture.ExecuteAsync($"DELETE FROM event WHERE instance_id = '{Id}'");
        Assert.Equal(1, await fixture.Store.Database.RemoveAsync(removal, default));
        Assert.Equal(0L, await CountAsync());
    }

    [Fact]
    public async Task One_that_meets_an_outage_is_saved_after_it()
    {
        await fixture.Server.StopAsync("immediate");
        var saving = Task.Run(() => Save(3));
        await Load.WaitAsync(() => fixture.Store.Database.Trouble is not null, Limit);
        await fixture.Server.StartServerAsync();
        await saving.WaitAsync(Limit);
        Assert.Equal(1L, await CountAsync());
    }

    private Task WaitsForALockAsync() => Load.WaitAsync(
        () => fixture.ExecuteAsync(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%snapshot%'")
            .GetAwaiter().GetResult() is 1L,
        Limit);

    private async Task<NpgsqlConnection> ConnectAsync()
    {
        var connection = new NpgsqlConnection(
            $"Host=127.0.0.1;Port={fixture.Server.Port};Username=postgres;Database={fixture.Database}");
        await connection.OpenAsync();
        return connection;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
