using Runtara.Actors.Images;
using Runtara.Actors.Instances;

namespace Runtara.Persistence.Tests.Queries;

/// <summary>What finds the images that provide agents, on both databases.</summary>
public abstract class AgentImagesContract(StoreFixture fixture)
{
    private static readonly TenantId Nobody = new("nobody");

    private readonly TenantId _tenant = new($"tenant-{Guid.NewGuid():N}");

    protected StoreFixture Fixture { get; } = fixture;

    private AgentImages Agents => Fixture.Store.Catalog.Agents;

    [Fact]
    public async Task Only_current_images_with_agents_are_found_newest_first()
    {
        var replaced = await RegisterAsync(_tenant, "replaced", agents: true);
        var old = await RegisterAsync(_tenant, "old", agents: true);
        await RegisterAsync(_tenant, "plain", agents: false);
        await RegisterAsync(_tenant, "replaced", agents: false);
        var deleted = await RegisterAsync(_tenant, "deleted", agents: true);
        await Fixture.Store.Images.DeleteAsync(deleted.Id, _tenant, default);
        var young = await RegisterAsync(_tenant, "young", agents: true);
        Assert.Equal([young.Id, old.Id], (await Agents.ListAsync(_tenant, Nobody, default)).Select(i => i.Id));
        var all = (await Agents.ListAsync(default)).Select(i => i.Id).ToList();
        Assert.Contains(young.Id, all);
        Assert.DoesNotContain(replaced.Id, all);
    }

    [Fact]
    public async Task Only_images_of_the_given_tenants_are_found()
    {
        var other = new TenantId($"{_tenant}-other");
        var mine = await RegisterAsync(_tenant, "n", agents: true);
        var theirs = await RegisterAsync(other, "n", agents: true);
        Assert.Equal([mine.Id], (await Agents.ListAsync(_tenant, Nobody, default)).Select(i => i.Id));
        Assert.Equal(
            new[] { theirs.Id, mine.Id }, (await Agents.ListAsync(_tenant, other, default)).Select(i => i.Id));
        Assert.Empty(await Agents.ListAsync(Nobody, Nobody, default));
    }

    [Fact]
    public async Task Ten_thousand_other_images_are_not_looked_at()
    {
        await RegisterAsync(_tenant, "n", agents: true);
        await Fixture.ExecuteAsync(
            $"""
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
            INSERT INTO image (image_id, tenant_id, name, runner_type, metadata, sha256, size, created_at, is_current)
            SELECT '{_tenant}-' || i, '{_tenant}', 'n' || i, 0, metadata, 'x', 1, i, is_current
            FROM n, (SELECT metadata, is_current FROM image WHERE tenant_id = '{_tenant}' AND has_agents) AS one
            """);
        await Fixture.ExecuteAsync("ANALYZE");
        Assert.Contains("image_agents", await PlanAsync(
            "SELECT image_id FROM image WHERE is_current AND has_agents ORDER BY created_at DESC, image_id"));
        Assert.Single(await Agents.ListAsync(_tenant, Nobody, default));
    }

    protected abstract Task<string> PlanAsync(string sql);

    [Fact]
    public async Task Metadata_are_read_for_many_at_once_and_missing_ones_left_out()
    {
        var image = await RegisterAsync(_tenant, "n", agents: true);
        var asked = Enumerable.Range(0, 1200).Select(n => new ImageId($"missing-{n}")).Append(image.Id).ToList();
        var (id, metadata) = Assert.Single(await Agents.ReadMetadataAsync(asked, default));
        Assert.Equal(image.Id, id);
        Assert.Equal(image.Metadata, metadata.ToArray());
    }

    [Fact]
    public async Task A_name_finds_its_current_image_only()
    {
        await RegisterAsync(_tenant, "harness", agents: false);
        var current = await RegisterAsync(_tenant, "harness", agents: false);
        Assert.Equal(
            new AgentImage(current.Id, _tenant, "harness", RunnerType.Oci, current.Sha256),
            await Agents.FindByNameAsync(_tenant, "harness", default));
        Assert.Null(await Agents.FindByNameAsync(Nobody, "harness", default));
    }

    protected async Task<Image> RegisterAsync(TenantId tenant, string name, bool agents)
    {
        await using var upload = await Fixture.Store.Images.BeginUploadAsync(default);
        await upload.WriteAsync(new byte[] { 1, 2 }, default);
        var registration = new ImageRegistration(tenant, name, null, RunnerType.Oci, "{\"a\":1}"u8.ToArray())
        {
            HasAgents = agents,
        };
        return await upload.CommitAsync(registration, default);
    }
}

public sealed class SqliteAgentImagesTests(SqliteFixture fixture)
    : AgentImagesContract(fixture), IClassFixture<SqliteFixture>
{
    protected override async Task<string> PlanAsync(string sql)
    {
        await using var connection = new Microsoft.Data.Sqlite.SqliteConnection(
            $"Data Source={Path.Combine(Fixture.DataDirectory, "store.db")}");
        connection.Open();
        await using var command = connection.CreateCommand();
        command.CommandText = "EXPLAIN QUERY PLAN " + sql;
        await using var reader = await command.ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        return reader.GetString(3);
    }
}

[Collection(PostgresCollection.Name)]
public sealed class PostgresAgentImagesTests(PostgresFixture fixture)
    : AgentImagesContract(fixture), IClassFixture<PostgresFixture>
{
    protected override async Task<string> PlanAsync(string sql) =>
        (string)(await Fixture.ExecuteAsync("EXPLAIN (FORMAT JSON) " + sql))!;
}
