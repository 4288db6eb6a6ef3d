using Akka.TestKit.Xunit2;
using Npgsql;
using Runtara.Persistence.Postgres;

namespace Runtara.Persistence.Tests.Journal;

/// <summary>How many connections a node takes, and what it takes them for.</summary>
[Collection(PostgresCollection.Name)]
public sealed class PostgresConnectionTests(PostgresConnectionTests.TwoConnections fixture)
    : TestKit(TestSystem.Setup(fixture.Store), "connections"), IClassFixture<PostgresConnectionTests.TwoConnections>
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Queries_that_hold_every_connection_hold_up_no_write_and_no_recovery()
    {
        var source = ((PostgresDatabase)fixture.Store.Database).Source;
        await using var one = await source.OpenConnectionAsync();
        await using var two = await source.OpenConnectionAsync();
        using var load = new Load(Sys, "held", 10);
        load.Start();
        await load.ProgressAsync(5, Limit);
        await load.StopAsync();
        Assert.Equal(0, load.Killed);
    }

    [Theory]
    [InlineData("", 30)]
    [InlineData("?maximum_pool_size=7", 7)]
    [InlineData("?minimum_pool_size=40", 40)]
    public async Task Queries_have_thirty_connections_unless_the_url_says_otherwise(string option, int connections)
    {
        await using var database = new PostgresDatabase(
            DatabaseUrl.Postgres($"postgres://u:p@h/db{option}"),
            new StoreOptions { DatabaseUrl = "", DataDirectory = "" });
        var read = new NpgsqlConnectionStringBuilder(database.Source.ConnectionString);
        Assert.Equal(connections, read.MaxPoolSize);
    }

    /// <summary>A store whose queries have two connections.</summary>
    public sealed class TwoConnections(PostgresServerFixture server) : PostgresFixture(server)
    {
        protected override StoreOptions Configure(StoreOptions options) =>
            options with { DatabaseUrl = $"{options.DatabaseUrl}?maximum_pool_size=2" };
    }
}
