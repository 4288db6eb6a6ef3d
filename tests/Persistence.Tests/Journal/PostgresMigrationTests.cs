using Npgsql;
using Runtara.Persistence.Postgres;

namespace Runtara.Persistence.Tests.Journal;

/// <summary>A migration takes as long as it takes: other statements have a time limit, it has none.</summary>
[Collection(PostgresCollection.Name)]
public sealed class PostgresMigrationTests(PostgresServerFixture server)
{
    [Fact]
    public async Task A_migration_waits_for_that_of_another_node_for_longer_than_a_statement_may_take()
    {
        var url = await server.Server.CreateDatabaseAsync();
        var log = new RecordingLogger();
        await using var source = NpgsqlDataSource.Create(DatabaseUrl.Postgres(url));
        await using var other = await source.OpenConnectionAsync();
        await ExecuteAsync(other, $"SELECT pg_advisory_lock({PostgresSchema.MigrationLock})");
        var opening = Store.OpenAsync(
            new StoreOptions
            {
                DatabaseUrl = $"{url}?command_timeout=1", DataDirectory = "/nonexistent", Logger = log,
                ReconnectTimeout = TimeSpan.FromMilliseconds(100),
            },
            default).AsTask();
        // The clock is the server's: the other node is at work for longer than the limit.
        await ExecuteAsync(other, "SELECT pg_sleep(2.5)");
        Assert.False(opening.IsCompleted);
        Assert.Empty(log.LinesOf("begins"));
        await ExecuteAsync(other, $"SELECT pg_advisory_unlock({PostgresSchema.MigrationLock})");
        await using var store = await opening;
        var known = PostgresSchema.Migrations.Count;
        Assert.Single(log.LinesOf($"The migration of the database from version 0 to {known} begins"));
        Assert.Single(log.LinesOf($"The migration of the database to version {known} is done"));
        Assert.True(await store.Catalog.PingAsync(default));

        await (await Store.OpenAsync(store.Options, default)).DisposeAsync();
        Assert.Single(log.LinesOf("begins"));
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
