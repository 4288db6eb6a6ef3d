using LinqToDB;
using LinqToDB.Async;
using LinqToDB.Data;
using Runtara.Actors.Instances;
using Runtara.Persistence.Projection;
using Runtara.Persistence.Queries;

namespace Runtara.Persistence;

// What an instance has done: its checkpoints and its events.
public sealed partial class Catalog
{
    /// <summary>
    /// The checkpoints that match, newest first and then last saved first, and how many match in all. An unknown
    /// instance has none.
    /// </summary>
    public async ValueTask<(IReadOnlyList<CheckpointSummaryRow> Rows, int TotalCount)> ListCheckpointsAsync(
        CheckpointFilter filter, CancellationToken cancellation) =>
        await QueryAsync(
            async (db, token) =>
            {
                var matching = Matching(db.GetTable<CheckpointTable>(), filter);
                var count = await matching.CountAsync(token);
                var page = await matching.OrderByDescending(c => c.At).ThenByDescending(c => c.SequenceNr)
                    .Skip(filter.Offset).Take(filter.Limit).Select(c => new { c.Key, c.At, c.SizeBytes })
                    .ToListAsync(token);
                IReadOnlyList<CheckpointSummaryRow> rows = page.ConvertAll(
                    c => new CheckpointSummaryRow(c.Key, Micros.ToTime(c.At), c.SizeBytes));
                return (rows, count);
            },
            cancellation);

    /// <summary>One checkpoint with its bytes; null when there is none.</summary>
    public async ValueTask<CheckpointRow?> FindCheckpointAsync(
        InstanceId id, string key, CancellationToken cancellation)
    {
        var (instance, name) = (Text.Clean(id.Value), Text.Clean(key));
        var row = await QueryAsync(
            (db, token) => db.GetTable<CheckpointTable>().Where(c => c.InstanceId == instance && c.Key == name)
                .Select(c => new { c.At, c.State }).FirstOrDefaultAsync(token),
            cancellation);
        return row is null ? null : new CheckpointRow(Micros.ToTime(row.At), row.State);
    }

    /// <summary>
    /// The events that match, newest first and then last stored first. An unknown instance has none.
    /// </summary>
    public async ValueTask<EventPage> ListEventsAsync(EventFilter filter, CancellationToken cancellation) =>
        await QueryAsync(
            async (db, token) =>
            {
                var matching = Matching(db.GetTable<EventTable>(), filter);
                var (page, count) = filter.PayloadContains is { } text
                    ? await SearchAsync(matching, filter, new PayloadSearch(text), token)
                    : await FindPageAsync(matching, filter, token);
                var fitting = Fitting(page, filter.PayloadBytesMax);
                var rows = await ReadEventsAsync(db, page.Take(fitting).Select(e => e.Id).ToList(), token);
                return new EventPage(rows, count, fitting < page.Count);
            },
            cancellation);

    private static async Task<(List<EventKey> Page, int Count)> FindPageAsync(
        IQueryable<EventTable> matching, EventFilter filter, CancellationToken cancellation)
    {
        var count = await matching.CountAsync(cancellation);
        var page = await matching.OrderByDescending(e => e.CreatedAt).ThenByDescending(e => e.Id)
            .Skip(filter.Offset).Take(filter.Limit)
            .Select(e => new EventKey(e.CreatedAt, e.Id, Sql.Length(e.Payload) ?? 0)).ToListAsync(cancellation);
        return (page, count);
    }

    // Only the keys of what was found are kept, so memory is 24 bytes for each match and one payload.
    private static async Task<(List<EventKey> Page, int Count)> SearchAsync(
        IQueryable<EventTable> matching, EventFilter filter, PayloadSearch search, CancellationToken cancellation)
    {
        var found = new List<EventKey>();
        var all = matching.Where(e => e.Payload != null).Select(e => new { e.CreatedAt, e.Id, e.Payload });
        await foreach (var e in all.AsAsyncEnumerable().WithCancellation(cancellation))
        {
            cancellation.ThrowIfCancellationRequested();
            if (search.IsIn(e.Payload))
                found.Add(new EventKey(e.CreatedAt, e.Id, e.Payload!.Length));
        }
        found.Sort((a, b) => (b.CreatedAt, b.Id).CompareTo((a.CreatedAt, a.Id)));
        return (found.Skip(filter.Offset).Take(filter.Limit).ToList(), found.Count);
    }

    /// <summary>How many of the first rows have no more payload than this together; at least one, if any.</summary>
    private static int Fitting(List<EventKey> page, long bytesMax)
    {
        long bytes = 0;
        var rows = 0;
        while (rows < page.Count && ((bytes += page[rows].PayloadBytes) <= bytesMax || rows == 0))
            rows++;
        return rows;
    }

    private static async Task<IReadOnlyList<EventRow>> ReadEventsAsync(
        DataConnection db, List<long> ids, CancellationToken cancellation)
    {
        if (ids.Count == 0)
            return [];
        var rows = await db.GetTable<EventTable>().Where(e => ids.Contains(e.Id))
            .OrderByDescending(e => e.CreatedAt).ThenByDescending(e => e.Id).ToListAsync(cancellation);
        return rows.ConvertAll(e => new EventRow(
            e.Id, e.Type, e.Subtype, e.CheckpointId, Micros.ToTime(e.CreatedAt),
            e.Payload is { Length: > 0 } payload ? ToMemory(payload) : null));
    }

    private static IQueryable<CheckpointTable> Matching(IQueryable<CheckpointTable> rows, CheckpointFilter filter)
    {
        rows = rows.Where(c => c.InstanceId == Text.Clean(filter.Instance.Value));
        if (filter.Key is { } key)
            rows = rows.Where(c => c.Key == Text.Clean(key));
        if (filter.CreatedAfter is { } after)
            rows = rows.Where(c => c.At >= Micros.Of(after));
        if (filter.CreatedBefore is { } before)
            rows = rows.Where(c => c.At < Micros.Of(before));
        return rows;
    }

    private static IQueryable<EventTable> Matching(IQueryable<EventTable> rows, EventFilter filter)
    {
        rows = rows.Where(e => e.InstanceId == Text.Clean(filter.Instance.Value));
        if (filter.Type is { } type)
            rows = rows.Where(e => e.Type == Text.Clean(type));
        if (filter.Subtype is { } subtype)
            rows = rows.Where(e => e.Subtype == Text.Clean(subtype));
        if (filter.CreatedAfter is { } after)
            rows = rows.Where(e => e.CreatedAt >= Micros.Of(after));
        if (filter.CreatedBefore is { } before)
            rows = rows.Where(e => e.CreatedAt < Micros.Of(before));
        return rows;
    }

    private sealed record EventKey(long CreatedAt, long Id, int PayloadBytes);
}
