using LinqToDB;
using LinqToDB.Async;
using LinqToDB.Data;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Persistence.Projection;
using Runtara.Persistence.Queries;

namespace Runtara.Persistence;

/// <summary>The current images whose metadata describe agents, found by an index of their own.</summary>
public sealed class AgentImages
{
    private const int ReadAtOnce = 500;

    private readonly Database _database;

    internal AgentImages(Database database) => _database = database;

    /// <summary>All of them, of all tenants; newest first, then by id.</summary>
    public ValueTask<IReadOnlyList<AgentImage>> ListAsync(CancellationToken cancellation) =>
        ListAsync("", cancellation);

    /// <summary>Those of two tenants, as the other.</summary>
    public ValueTask<IReadOnlyList<AgentImage>> ListAsync(
        TenantId one, TenantId other, CancellationToken cancellation) =>
        ListAsync(
            "AND tenant_id IN (@one, @other)", cancellation, new DataParameter("one", Text.Clean(one.Value)),
            new DataParameter("other", Text.Clean(other.Value)));

    // By hand, because the conditions must be spelled like those of the partial index.
    private ValueTask<IReadOnlyList<AgentImage>> ListAsync(
        string condition, CancellationToken cancellation, params DataParameter[] parameters) =>
        _database.QueryAsync(
            async (db, token) =>
            {
                var rows = await db.QueryToListAsync<ImageTable>(
                    $"""
                    SELECT image_id, tenant_id, name, runner_type, sha256 FROM image
                    WHERE is_current AND has_agents {condition} ORDER BY created_at DESC, image_id
                    """,
                    token, parameters);
                return (IReadOnlyList<AgentImage>)rows.ConvertAll(i => new AgentImage(
                    new ImageId(i.Id), new TenantId(i.Tenant), i.Name, (RunnerType)i.RunnerType, i.Sha256));
            },
            cancellation);

    /// <summary>The metadata of these images; one that is gone is left out.</summary>
    public async ValueTask<IReadOnlyDictionary<ImageId, ReadOnlyMemory<byte>>> ReadMetadataAsync(
        IReadOnlyCollection<ImageId> images, CancellationToken cancellation)
    {
        var found = new Dictionary<ImageId, ReadOnlyMemory<byte>>();
        foreach (var some in images.Select(i => Text.Clean(i.Value)).Chunk(ReadAtOnce))
        {
            var rows = await _database.QueryAsync(
                (db, token) => db.GetTable<ImageTable>().Where(i => some.Contains(i.Id))
                    .Select(i => new { i.Id, i.Metadata }).ToListAsync(token),
                cancellation);
            foreach (var row in rows)
                found[new ImageId(row.Id)] = row.Metadata;
        }
        return found;
    }

    /// <summary>The current image of a tenant with this name; null when there is none.</summary>
    public ValueTask<AgentImage?> FindByNameAsync(TenantId tenant, string name, CancellationToken cancellation) =>
        _database.QueryAsync(
            async (db, token) =>
            {
                var i = await db.GetTable<ImageTable>()
                    .Where(i => i.IsCurrent && i.Tenant == Text.Clean(tenant.Value) && i.Name == Text.Clean(name))
                    .Select(i => new { i.Id, i.Tenant, i.Name, i.RunnerType, i.Sha256 }).FirstOrDefaultAsync(token);
                return i is null ? null : new AgentImage(
                    new ImageId(i.Id), new TenantId(i.Tenant), i.Name, (RunnerType)i.RunnerType, i.Sha256);
            },
            cancellation);
}
