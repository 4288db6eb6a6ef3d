using Akka.TestKit.Xunit2;
using LinqToDB.Data;
using Npgsql;
using Runtara.Actors.Images;
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
        await using var list = await HoldAsync(fixture.Store.Database.OpenCatalog());
        await using var lookup = await HoldAsync(fixture.Store.Database.OpenLookups());
        using var load = new Load(Sys, "held", 10);
        load.Start();
        await load.ProgressAsync(5, Limit);
        await load.StopAsync();
        Assert.Equal(0, load.Killed);
    }

    [Fact]
    public async Task Uploads_hold_up_no_query_and_further_ones_wait_for_their_place()
    {
        var uploads = new List<IImageUpload> { await fixture.Store.Images.BeginUploadAsync(default) };
        await uploads[0].WriteAsync(new byte[3_000_000], default);
        var waiting = Enumerable.Range(0, 5).Select(
            _ => fixture.Store.Images.BeginUploadAsync(default).AsTask()).ToList();
        using var gone = new CancellationTokenSource();
        var impatient = fixture.Store.Images.BeginUploadAsync(gone.Token).AsTask();
        Assert.True(await fixture.Store.Catalog.PingAsync(default));
        using var patience = new CancellationTokenSource(Limit);
        Assert.Equal(0, (await fixture.Store.ReadInputAsync(new("nobody"), patience.Token)).Length);
        Assert.Null(await fixture.Store.Catalog.ReadCheckpointAsync(new("nobody"), "key", patience.Token));
        Assert.Equal(0, (await fixture.Store.Images.ListAsync(null, 10, 0, patience.Token)).TotalCount);
        Assert.All(waiting, upload => Assert.False(upload.IsCompleted));
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => impatient);

        foreach (var _ in waiting.ToList())
        {
            await uploads[^1].DisposeAsync();
            var next = await Task.WhenAny(waiting).WaitAsync(Limit);
            waiting.Remove(next);
            uploads.Add(await next);
        }
        await uploads[^1].DisposeAsync();
    }

    [Theory]
    [InlineData("", 23, 7)]
    [InlineData("?maximum_pool_size=7", 6, 1)]
    [InlineData("?maximum_pool_size=1", 1, 1)]
    [InlineData("?minimum_pool_size=40", 40, 10)]
    public async Task Queries_have_thirty_connections_less_those_of_lookups_unless_the_url_says_otherwise(
        string option, int connections, int uploads)
    {
        await using var database = new PostgresDatabase(
            DatabaseUrl.Postgres($"postgres://u:p@h/db{option}"),
            new StoreOptions { DatabaseUrl = "", DataDirectory = "" });
        var read = new NpgsqlConnectionStringBuilder(database.Source.ConnectionString);
        Assert.Equal((connections, uploads), (read.MaxPoolSize, database.UploadsMax));
    }

    [Fact]
    public async Task Lists_that_hold_every_connection_of_theirs_hold_up_no_lookup()
    {
        await using var list = await HoldAsync(fixture.Store.Database.OpenCatalog());
        using var patience = new CancellationTokenSource(Limit);
        Assert.True(await fixture.Store.Catalog.PingAsync(patience.Token));
        Assert.Null(await fixture.Store.Catalog.FindInstanceAsync(new("nobody"), patience.Token));
        Assert.Null(await fixture.Store.Images.FindAsync(new("none"), patience.Token));
        Assert.Null(await fixture.Store.Catalog.ReadCheckpointAsync(new("nobody"), "key", patience.Token));
        Assert.Equal(0, (await fixture.Store.ReadInputAsync(new("nobody"), patience.Token)).Length);
    }

    private static async Task<DataConnection> HoldAsync(DataConnection connection)
    {
        await connection.BeginTransactionAsync();
        return connection;
    }

    /// <summary>A store whose queries have two connections.</summary>
    public sealed class TwoConnections(PostgresServerFixture server) : PostgresFixture(server)
    {
        protected override StoreOptions Configure(StoreOptions options) =>
            options with { DatabaseUrl = $"{options.DatabaseUrl}?maximum_pool_size=2" };
    }
}
