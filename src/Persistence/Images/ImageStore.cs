using LinqToDB;
using LinqToDB.Async;
using LinqToDB.Data;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Persistence.Projection;
using Runtara.Persistence.Queries;

namespace Runtara.Persistence.Images;

/// <summary>The queries over image registrations, which are the same for both databases.</summary>
internal abstract class ImageStore(Database database) : IImageStore
{
    // Asked for at every start; see Catalog.
    private const string FindSql = $"SELECT {ImageTable.Columns} FROM image WHERE image_id = @id";

    /// <summary>By whom operations are repeated during an outage.</summary>
    protected Database Calls => database;

    public abstract ValueTask<IImageUpload> BeginUploadAsync(CancellationToken cancellation);

    public ValueTask<ImageDeletion> DeleteAsync(ImageId id, TenantId tenant, CancellationToken cancellation)
    {
        var isRepeated = false;
        return database.RetryAsync(
            async token =>
            {
                var mayBeDone = isRepeated;
                isRepeated = true;
                var deletion = await DeleteOnceAsync(id, tenant, token);
                // Not there at a later try: the first one deleted it, and only its answer was lost.
                return mayBeDone && !deletion.Found ? new ImageDeletion(true, 0) : deletion;
            },
            cancellation);
    }

    public abstract ValueTask<Stream> OpenBlobAsync(string sha256, CancellationToken cancellation);

    public ValueTask<Image?> FindAsync(ImageId id, CancellationToken cancellation) =>
        database.LookUpAsync(
            async (db, token) =>
            {
                var row = await db.ExecuteAsync<ImageTable?>(
                    FindSql, token, DataParameter.NVarChar("id", Text.Clean(id.Value)));
                return row is null ? null : ToImage(row);
            },
            cancellation);

    public ValueTask<(IReadOnlyList<Image> Images, int TotalCount)> ListAsync(
        TenantId? tenant, int limit, int offset, CancellationToken cancellation) =>
        database.QueryAsync(
            async (db, token) =>
            {
                IQueryable<ImageTable> rows = db.GetTable<ImageTable>().Where(i => i.IsCurrent);
                if (tenant is { } owner)
                    rows = rows.Where(i => i.Tenant == Text.Clean(owner.Value));
                var count = await rows.CountAsync(token);
                var page = await rows.OrderByDescending(i => i.CreatedAt).ThenBy(i => i.Id).Skip(offset).Take(limit)
                    .ToListAsync(token);
                return ((IReadOnlyList<Image>)page.ConvertAll(ToImage), count);
            },
            cancellation);

    protected abstract ValueTask<ImageDeletion> DeleteOnceAsync(
        ImageId id, TenantId tenant, CancellationToken cancellation);

    /// <summary>Builds the image that a registration makes.</summary>
    public static Image NewImage(ImageRegistration registration, IImageUpload upload, DateTimeOffset now) => new(
        new ImageId(Guid.CreateVersion7(now).ToString()), registration.Tenant, registration.Name,
        registration.Description is { } text ? Text.Clean(text) : null, registration.RunnerType, registration.Metadata,
        upload.Sha256, upload.SizeBytes, Micros.ToTime(Micros.Of(now)));

    private static Image ToImage(ImageTable row) => new(
        new ImageId(row.Id), new TenantId(row.Tenant), row.Name, row.Description, (RunnerType)row.RunnerType,
        row.Metadata, row.Sha256, row.Size, Micros.ToTime(row.CreatedAt));
}
