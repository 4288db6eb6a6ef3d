using LinqToDB;
using LinqToDB.Async;
using Runtara.Actors.Instances;
using Runtara.Persistence.Projection;
using Runtara.Persistence.Queries;

namespace Runtara.Persistence;

// What many instances did together.
public sealed partial class Catalog
{
    /// <summary>How many instances are running (or being launched) or suspended. Reads an index and no rows.</summary>
    public async ValueTask<int> CountActiveAsync(CancellationToken cancellation) => await QueryAsync(
        // A range and no alternatives, so that the planner sees one stretch of one index.
        (db, token) => db.GetTable<InstanceTable>().CountAsync(i => i.Status >= 2 && i.Status <= 3, token),
        cancellation);

    /// <summary>Every bucket of the range, the oldest first, also those in which nothing ended.</summary>
    public async ValueTask<IReadOnlyList<MetricsBucketRow>> ReadMetricsAsync(
        MetricsQuery query, CancellationToken cancellation)
    {
        var found = await QueryAsync((db, token) => Summed(db.GetTable<InstanceTable>(), query, token), cancellation);
        return [.. Range(query).Select(number =>
            found.GetValueOrDefault(number) ?? new MetricsBucketRow { At = Micros.ToTime(number * query.Width) })];
    }

    private static IEnumerable<long> Range(MetricsQuery query)
    {
        for (var n = 0L; n < query.BucketCount; n++)
            yield return query.First + n;
    }

    private static async Task<Dictionary<long, MetricsBucketRow>> Summed(
        IQueryable<InstanceTable> instances, MetricsQuery query, CancellationToken cancellation)
    {
        var (start, end, width) = (Micros.Of(query.Start), Micros.Of(query.End), query.Width);
        var ended = instances.Where(i =>
            i.Tenant == Text.Clean(query.Tenant.Value) && i.FinishedAt != null && i.FinishedAt >= start
            && i.FinishedAt < end && (i.Status == 4 || i.Status == 5 || i.Status == 6));
        // The width is spelled out, because a parameter is not the same expression in SELECT and in GROUP BY.
        var grouped = query.IsDaily
            ? ended.GroupBy(i => i.FinishedAt!.Value / MetricsQuery.MicrosOfDay)
            : ended.GroupBy(i => i.FinishedAt!.Value / MetricsQuery.MicrosOfHour);
        var sums = await grouped.Select(g => new
        {
            Number = g.Key,
            Completed = g.Count(i => i.Status == 4),
            Failed = g.Count(i => i.Status == 5),
            Cancelled = g.Count(i => i.Status == 6),
            DurationMean = g.Average(i => (double?)(i.FinishedAt - i.StartedAt)),
            DurationMin = g.Min(i => i.FinishedAt - i.StartedAt),
            DurationMax = g.Max(i => i.FinishedAt - i.StartedAt),
            MemoryMean = g.Average(i => (double?)i.MemoryPeakBytes),
            MemoryMax = g.Max(i => i.MemoryPeakBytes),
        }).ToListAsync(cancellation);
        return sums.ToDictionary(s => s.Number, s => new MetricsBucketRow
        {
            At = Micros.ToTime(s.Number * width),
            Completed = s.Completed,
            Failed = s.Failed,
            Cancelled = s.Cancelled,
            DurationMean = s.DurationMean is { } mean ? TimeSpan.FromMicroseconds(mean) : null,
            DurationMin = s.DurationMin is { } min ? TimeSpan.FromMicroseconds(min) : null,
            DurationMax = s.DurationMax is { } max ? TimeSpan.FromMicroseconds(max) : null,
            MemoryMeanBytes = (long?)s.MemoryMean,
            MemoryMaxBytes = s.MemoryMax,
        });
    }
}
