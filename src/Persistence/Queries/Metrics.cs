using Runtara.Actors.Instances;

namespace Runtara.Persistence;

/// <summary>What a tenant's instances did, in buckets of one width.</summary>
/// <param name="Tenant">Whose instances.</param>
/// <param name="Start">Instances that ended at this time or later; the first bucket is the one it lies in.</param>
/// <param name="End">Instances that ended before this time; the last bucket is the one it lies in.</param>
/// <param name="IsDaily">Buckets of a day in UTC; else of an hour.</param>
public sealed record MetricsQuery(TenantId Tenant, DateTimeOffset Start, DateTimeOffset End, bool IsDaily)
{
    internal const long MicrosOfHour = 3_600_000_000;
    internal const long MicrosOfDay = 24 * MicrosOfHour;

    /// <summary>The buckets from the one of the start to the one of the end; none when the end is before it.</summary>
    public long BucketCount => Math.Max(0, Last - First + 1);

    internal long First => NumberOf(Start);

    internal long Width => IsDaily ? MicrosOfDay : MicrosOfHour;

    private long Last => NumberOf(End);

    // Days and hours in UTC are multiples of these since the epoch; before it they count downwards.
    private long NumberOf(DateTimeOffset time) =>
        (long)Math.Floor((decimal)Projection.Micros.Of(time) / Width);
}

/// <summary>Instances that ended within one bucket.</summary>
public sealed record MetricsBucketRow
{
    /// <summary>Start of the bucket.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>How many completed.</summary>
    public int Completed { get; init; }

    /// <summary>How many failed.</summary>
    public int Failed { get; init; }

    /// <summary>How many were cancelled.</summary>
    public int Cancelled { get; init; }

    /// <summary>Mean time from first registration to end, of those that ran; null when none did.</summary>
    public TimeSpan? DurationMean { get; init; }

    /// <summary>The shortest such time.</summary>
    public TimeSpan? DurationMin { get; init; }

    /// <summary>The longest such time.</summary>
    public TimeSpan? DurationMax { get; init; }

    /// <summary>Mean memory peak of those that reported one, without its fraction; null when none did.</summary>
    public long? MemoryMeanBytes { get; init; }

    /// <summary>The highest such peak.</summary>
    public long? MemoryMaxBytes { get; init; }
}
