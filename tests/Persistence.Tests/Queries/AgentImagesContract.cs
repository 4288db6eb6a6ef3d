using Runtara.Actors.Images;
using Runtara.Actors.Instances;

namespace Runtara.Persistence.Tests.Queries;

/// <summary>What finds the images that provide agents, on both databases.</summary>
public abstract class AgentImagesContract(StoreFixture fixture)
{
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
        Assert.Equal([young.Id, old.Id], (await Agents.ListAsync([_tenant], default)).Select(i => i.Id));
        var all = (await Agents.ListAsync(null, default)).Select(i => i.Id).ToList();
        Assert.Contains(young.Id, all);
        Assert.DoesNotContain(replaced.Id, all);
    }

    [Fact]
    public async Task Only_images_of_the_given_tenants_are_found()
    {
        var other = new TenantId($"{_tenant}-other");
        var mine = await RegisterAsync(_tenant, "n", agents: true);
        var theirs = await RegisterAsync(other, "n", agents: true);
        Assert.Equal([mine.Id], (await Agents.ListAsync([_tenant], default)).Select(i => i.Id));
        Assert.Equal(
            new[] { theirs.Id, mine.Id }, (await Agents.ListAsync([_tenant, other], default)).Select(i => i.Id));
        Assert.Empty(await Agents.ListAsync([new TenantId("nobody")], default));
    }

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
        Assert.Null(await Agents.FindByNameAsync(new TenantId("nobody"), "harness", default));
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
    : AgentImagesContract(fixture), IClassFixture<SqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class PostgresAgentImagesTests(PostgresFixture fixture)
    : AgentImagesContract(fixture), IClassFixture<PostgresFixture>;
