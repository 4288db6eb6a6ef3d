using System.Diagnostics;
using LinqToDB;
using LinqToDB.Async;
using LinqToDB.Data;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Wakes;
using Runtara.Persistence.Projection;
using Runtara.Persistence.Queries;

namespace Runtara.Persistence;

/// <summary>
/// Questions about instances, answered from rows that the journal's transactions write: what a reply acknowledged, the
/// next query shows. A short database outage is waited out.
/// </summary>
public sealed partial class Catalog
{
    // What is asked for most is written out. Measured on SQLite: 16 µs, and 35 µs in a daemon that has just started;
    // from an expression, of which a statement is made again at each call, 70 µs and 340 µs.
    private const string FindInstanceSql =
        $"SELECT {InstanceTable.Columns} FROM instance WHERE instance_id = @id";

    private const string ReadInputSql = "SELECT input FROM instance WHERE instance_id = @id";

    private const string ReadCustomSignalSql =
        "SELECT payload FROM custom_signal WHERE instance_id = @id AND number = @number";

    private const string Beyond = "\U0010FFFF";

    private static readonly TimeSpan PingWithin = TimeSpan.FromSeconds(5);

    private readonly Database _database;
    private readonly CheckpointReader _checkpoints;

    internal Catalog(Database database)
    {
        _database = database;
        _checkpoints = new CheckpointReader(database);
        Agents = new AgentImages(database);
    }

    /// <summary>The images that provide agents.</summary>
    public AgentImages Agents { get; }

    /// <summary>The instance with everything it has; null when there is none.</summary>
    public async ValueTask<InstanceRow?> FindInstanceAsync(InstanceId id, CancellationToken cancellation)
    {
        var row = await _database.LookUpAsync(
            (db, token) => db.ExecuteAsync<InstanceTable?>(FindInstanceSql, token, IdOf(id)), cancellation);
        return row is null ? null : ToRow(row);
    }

    /// <summary>The instances that match, in order, and how many match in all.</summary>
    public async ValueTask<(IReadOnlyList<InstanceSummaryRow> Rows, int TotalCount)> ListInstancesAsync(
        InstanceFilter filter, CancellationToken cancellation)
    {
        return await QueryAsync(
            async (db, token) =>
            {
                var matching = Matching(db.GetTable<InstanceTable>(), filter);
                var count = await matching.CountAsync(token);
                // The skipped rows are read from the index alone; only the page's own rows are looked up.
                var ids = Paged(matching, filter, count).Select(i => i.Id);
                var paged = ids.Join(db.GetTable<InstanceTable>(), id => id, i => i.Id, (_, i) => i);
                var page = await Ordered(paged, filter.Order)
                    .Select(i => new
                    {
                        i.Id, i.Tenant, i.Status, i.ImageId, i.ImageName, i.CreatedAt, i.StartedAt, i.FinishedAt,
                        HasError = i.Error != null,
                    })
                    .ToListAsync(token);
                IReadOnlyList<InstanceSummaryRow> rows = page.ConvertAll(i => new InstanceSummaryRow(
                    new InstanceId(i.Id), new TenantId(i.Tenant), (InstanceStatus)i.Status, ToImageId(i.ImageId),
                    i.ImageName, Micros.ToTime(i.CreatedAt), Micros.ToTime(i.StartedAt), Micros.ToTime(i.FinishedAt),
                    i.HasError));
                return (rows, count);
            },
            cancellation);
    }

    /// <summary>The state of a checkpoint; null when there is none. Concurrent reads share queries.</summary>
    public ValueTask<ReadOnlyMemory<byte>?> ReadCheckpointAsync(
        InstanceId id, string key, CancellationToken cancellation) =>
        _checkpoints.ReadAsync(Text.Clean(id.Value), Text.Clean(key), cancellation);

    /// <summary>
    /// The payload of a custom signal that waits, or was the last to be consumed; null for an older one.
    /// </summary>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadCustomSignalAsync(
        InstanceId id, long number, CancellationToken cancellation) =>
        ToMemory(await _database.LookUpAsync(
            (db, token) => db.ExecuteAsync<byte[]?>(
                ReadCustomSignalSql, token, IdOf(id), DataParameter.Int64("number", number)),
            cancellation));

    /// <summary>How long writes wait for a lost database.</summary>
    public TimeSpan ReconnectTimeout => _database.ReconnectTimeout;

    /// <summary>Why the database cannot be used now; null while nothing is known to be wrong.</summary>
    public string? Trouble => _database.Trouble;

    /// <summary>Whether the database answers now, and takes writes if it lately did not.</summary>
    public async ValueTask<bool> PingAsync(CancellationToken cancellation)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(PingWithin);
        try
        {
            return await AnswersAsync(patience.Token);
        }
        catch (Exception e) when (_database.IsOutage(e))
        {
            // It may be only the connection that died, while it idled.
            _database.DropIdleConnections();
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return false;
        }
        try
        {
            return await AnswersAsync(patience.Token);
        }
        catch (Exception e) when (_database.IsOutage(e)
            || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return false;
        }
    }

    private async ValueTask<bool> AnswersAsync(CancellationToken cancellation)
    {
        await using var db = _database.OpenLookups();
        if (_database.Trouble is null)
            return await db.ExecuteAsync<int>("SELECT 1", cancellation) == 1;
        await db.ExecuteAsync("UPDATE schema_version SET version = version", cancellation);
        _database.Works();
        return _database.Trouble is null;
    }

    internal ValueTask CloseAsync() => _checkpoints.DisposeAsync();

    internal async ValueTask<IReadOnlyList<DueInstance>> ReadDueAsync(
        int shard, DateTimeOffset before, int limit, CancellationToken cancellation)
    {
        var (number, micros) = ((short)shard, Micros.Of(before));
        var rows = await QueryAsync(
            (db, token) => db.GetTable<InstanceTable>()
                .Where(i => i.Shard == number && i.WakeAt != null && i.WakeAt < micros
                    && i.Status == (short)InstanceStatus.Suspended)
                .OrderBy(i => i.WakeAt).ThenBy(i => i.Id).Take(limit)
                .Select(i => new { i.Id, i.WakeAt }).ToListAsync(token),
            cancellation);
        return rows.ConvertAll(r => new DueInstance(new InstanceId(r.Id), Micros.ToTime(r.WakeAt!.Value)));
    }

    internal async ValueTask<IReadOnlyList<InstanceId>> ReadLiveAsync(int shard, CancellationToken cancellation)
    {
        var number = (short)shard;
        var rows = await QueryAsync(
            // Spelled like the partial index, so that the planner takes it.
            (db, token) => db.GetTable<InstanceTable>()
                .Where(i => i.Shard == number && (i.Status == 1 || i.Status == 2))
                .OrderBy(i => i.Id).Select(i => i.Id).ToListAsync(token),
            cancellation);
        return rows.ConvertAll(id => new InstanceId(id));
    }

    internal async ValueTask<ReadOnlyMemory<byte>> ReadInputAsync(InstanceId id, CancellationToken cancellation) =>
        await _database.LookUpAsync(
            (db, token) => db.ExecuteAsync<byte[]?>(ReadInputSql, token, IdOf(id)), cancellation);

    private ValueTask<T> QueryAsync<T>(
        Func<DataConnection, CancellationToken, Task<T>> query, CancellationToken cancellation) =>
        _database.QueryAsync(query, cancellation);

    private static IQueryable<InstanceTable> Matching(IQueryable<InstanceTable> rows, InstanceFilter filter)
    {
        if (filter.Tenant is { } tenant)
            rows = rows.Where(i => i.Tenant == Text.Clean(tenant.Value));
        if (filter.Status is { } status)
            rows = rows.Where(i => i.Status == (short)status);
        if (filter.Image is { } image)
            rows = rows.Where(i => i.ImageId == Text.Clean(image.Value));
        if (filter.ImageNamePrefix is { Length: > 0 } prefix)
        {
            // A range and not LIKE: it uses the index and is case-sensitive on both databases.
            var (first, beyond) = (Text.Clean(prefix), Text.Clean(prefix) + Beyond);
            rows = rows.Where(i => IsWithin(i.ImageName, first, beyond));
        }
        if (filter.CreatedAfter is { } createdAfter)
            rows = rows.Where(i => i.CreatedAt >= Micros.Of(createdAfter));
        if (filter.CreatedBefore is { } createdBefore)
            rows = rows.Where(i => i.CreatedAt < Micros.Of(createdBefore));
        if (filter.FinishedAfter is { } finishedAfter)
            rows = rows.Where(i => i.FinishedAt >= Micros.Of(finishedAfter));
        if (filter.FinishedBefore is { } finishedBefore)
            rows = rows.Where(i => i.FinishedAt < Micros.Of(finishedBefore));
        return rows;
    }

    // Spelled here, because what the provider makes of a comparison of strings admits NULL, and then no index helps.
    [Sql.Expression("({0} >= {1} AND {0} < {2})", IsPredicate = true, ServerSideOnly = true)]
    private static bool IsWithin(string? column, string first, string beyond) =>
        throw new UnreachableException($"'{column}' is compared with {first} and {beyond} by the database");

    private static IQueryable<InstanceTable> Ordered(IQueryable<InstanceTable> rows, InstanceOrder by) => by switch
    {
        InstanceOrder.CreatedAtAscending => rows.OrderBy(i => i.CreatedAt).ThenBy(i => i.Id),
        InstanceOrder.FinishedAtDescending => rows.OrderBy(i => i.FinishedAt == null ? 1 : 0)
            .ThenByDescending(i => i.FinishedAt).ThenBy(i => i.Id),
        InstanceOrder.FinishedAtAscending => rows.OrderBy(i => i.FinishedAt == null ? 1 : 0)
            .ThenBy(i => i.FinishedAt).ThenBy(i => i.Id),
        _ => rows.OrderByDescending(i => i.CreatedAt).ThenBy(i => i.Id),
    };

    // The second half is reached from the end, so that no page is further away than half of the list.
    private static IQueryable<InstanceTable> Paged(IQueryable<InstanceTable> rows, InstanceFilter filter, int count)
    {
        var limit = Math.Min(filter.Limit, Math.Max(0, count - filter.Offset));
        if (filter.Offset <= count / 2)
            return Ordered(rows, filter.Order).Skip(filter.Offset).Take(limit);
        var beyond = Math.Max(0, count - filter.Offset - limit);
        return Reversed(rows, filter.Order).Skip(beyond).Take(limit);
    }

    private static IQueryable<InstanceTable> Reversed(IQueryable<InstanceTable> rows, InstanceOrder by) => by switch
    {
        InstanceOrder.CreatedAtAscending => rows.OrderByDescending(i => i.CreatedAt).ThenByDescending(i => i.Id),
        InstanceOrder.FinishedAtDescending => rows.OrderByDescending(i => i.FinishedAt == null ? 1 : 0)
            .ThenBy(i => i.FinishedAt).ThenByDescending(i => i.Id),
        InstanceOrder.FinishedAtAscending => rows.OrderByDescending(i => i.FinishedAt == null ? 1 : 0)
            .ThenByDescending(i => i.FinishedAt).ThenByDescending(i => i.Id),
        _ => rows.OrderBy(i => i.CreatedAt).ThenByDescending(i => i.Id),
    };

    private static DataParameter IdOf(InstanceId id) => DataParameter.NVarChar("id", Text.Clean(id.Value));

    private static ImageId? ToImageId(string? id) => id is null ? null : new ImageId(id);

    // An untyped null would become an empty memory: arrays convert implicitly, also absent ones.
    private static ReadOnlyMemory<byte>? ToMemory(byte[]? bytes) =>
        bytes is null ? default(ReadOnlyMemory<byte>?) : bytes;

    private static InstanceRow ToRow(InstanceTable row) => new()
    {
        Id = new InstanceId(row.Id),
        Tenant = new TenantId(row.Tenant),
        Status = (InstanceStatus)row.Status,
        Attempt = new Attempt(row.Attempt),
        Image = ToImageId(row.ImageId),
        ImageName = row.ImageName,
        CheckpointId = row.CheckpointId,
        CreatedAt = Micros.ToTime(row.CreatedAt),
        StartedAt = Micros.ToTime(row.StartedAt),
        FinishedAt = Micros.ToTime(row.FinishedAt),
        WakeAt = Micros.ToTime(row.WakeAt),
        Timeout = row.TimeoutMs is { } ms ? TimeSpan.FromMilliseconds(ms) : null,
        Input = ToMemory(row.Input),
        Output = ToMemory(row.Output),
        Error = row.Error,
        Stderr = row.Stderr,
        RetryCount = row.RetryCount,
        MaxRetries = row.MaxRetries,
        MemoryPeakBytes = row.MemoryPeakBytes,
        CpuMicroseconds = row.CpuMicroseconds,
    };
}
