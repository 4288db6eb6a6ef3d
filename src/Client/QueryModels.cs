using System.Text.Json;

namespace Runtara.Client;

/// <summary>Which checkpoints of an instance to list; what is null does not filter.</summary>
/// <param name="InstanceId">The instance.</param>
public sealed record CheckpointFilter(string InstanceId)
{
    /// <summary>Exactly this key.</summary>
    public string? CheckpointId { get; init; }

    /// <summary>Saved at or after.</summary>
    public DateTimeOffset? CreatedAfter { get; init; }

    /// <summary>Saved before.</summary>
    public DateTimeOffset? CreatedBefore { get; init; }

    /// <summary>Most rows, at most 1,000; 0 for the count alone. Default 100.</summary>
    public uint Limit { get; init; } = 100;

    /// <summary>Rows to skip. Default 0.</summary>
    public uint Offset { get; init; }
}

/// <summary>A checkpoint in a list.</summary>
/// <param name="CheckpointId">Key.</param>
/// <param name="InstanceId">Whose it is.</param>
/// <param name="CreatedAt">When it was saved.</param>
/// <param name="DataSizeBytes">Length of its bytes.</param>
public sealed record CheckpointSummary(
    string CheckpointId, string InstanceId, DateTimeOffset CreatedAt, ulong DataSizeBytes);

/// <summary>A page of checkpoints.</summary>
/// <param name="Checkpoints">Newest first.</param>
/// <param name="TotalCount">Checkpoints that match, on all pages.</param>
/// <param name="Limit">Limit in force.</param>
/// <param name="Offset">Offset in force.</param>
public sealed record ListCheckpointsResult(
    IReadOnlyList<CheckpointSummary> Checkpoints, uint TotalCount, uint Limit, uint Offset);

/// <summary>A checkpoint with what it holds.</summary>
/// <param name="CheckpointId">Key.</param>
/// <param name="InstanceId">Whose it is.</param>
/// <param name="CreatedAt">When it was saved.</param>
/// <param name="Data">Its value; null when it is empty or not JSON.</param>
/// <param name="Bytes">Its bytes, unchanged.</param>
public sealed record Checkpoint(
    string CheckpointId, string InstanceId, DateTimeOffset CreatedAt, JsonElement? Data, ReadOnlyMemory<byte> Bytes);

/// <summary>Which events of an instance to list; what is null does not filter.</summary>
/// <param name="InstanceId">The instance.</param>
public sealed record EventFilter(string InstanceId)
{
    /// <summary>Type: <c>started</c>, <c>completed</c>, <c>failed</c>, <c>suspended</c> or <c>custom</c>.</summary>
    public string? EventType { get; init; }

    /// <summary>Name that the workflow gave a custom event.</summary>
    public string? Subtype { get; init; }

    /// <summary>Text in the payload; upper and lower case are the same, and no character is a wildcard.</summary>
    public string? PayloadContains { get; init; }

    /// <summary>Happened at or after.</summary>
    public DateTimeOffset? CreatedAfter { get; init; }

    /// <summary>Happened before.</summary>
    public DateTimeOffset? CreatedBefore { get; init; }

    /// <summary>Most rows, at most 1,000; 0 for the count alone. Default 100.</summary>
    public uint Limit { get; init; } = 100;

    /// <summary>Rows to skip. Default 0.</summary>
    public uint Offset { get; init; }
}

/// <summary>An event.</summary>
/// <param name="Id">Grows with time.</param>
/// <param name="InstanceId">Whose it is.</param>
/// <param name="EventType">What kind.</param>
/// <param name="Subtype">Name that the workflow gave a custom event.</param>
/// <param name="CheckpointId">Key it is about.</param>
/// <param name="CreatedAt">When it happened.</param>
/// <param name="Payload">Its payload; null when there is none or it is not JSON.</param>
/// <param name="Bytes">Its payload's bytes, unchanged.</param>
public sealed record InstanceEvent(
    long Id,
    string InstanceId,
    string EventType,
    string? Subtype,
    string? CheckpointId,
    DateTimeOffset CreatedAt,
    JsonElement? Payload,
    ReadOnlyMemory<byte> Bytes);

/// <summary>A page of events.</summary>
/// <param name="Events">Newest first.</param>
/// <param name="TotalCount">Events that match, on all pages.</param>
/// <param name="Limit">Limit in force; less than asked for when the page would have been too large.</param>
/// <param name="Offset">Offset in force.</param>
public sealed record ListEventsResult(IReadOnlyList<InstanceEvent> Events, uint TotalCount, uint Limit, uint Offset);

/// <summary>Width of a bucket of metrics.</summary>
public enum MetricsGranularity
{
    /// <summary>An hour.</summary>
    Hourly = 0,

    /// <summary>A day in UTC.</summary>
    Daily = 1,
}

/// <summary>Whose metrics, and when.</summary>
/// <param name="TenantId">Owner of the instances.</param>
public sealed record MetricsQuery(string TenantId)
{
    /// <summary>Ended at or after; null for 24 hours before the end.</summary>
    public DateTimeOffset? StartTime { get; init; }

    /// <summary>Ended before; null for now.</summary>
    public DateTimeOffset? EndTime { get; init; }

    /// <summary>Width of the buckets. Default <see cref="MetricsGranularity.Hourly"/>.</summary>
    public MetricsGranularity Granularity { get; init; }
}

/// <summary>What a tenant's instances did.</summary>
/// <param name="TenantId">Owner of the instances.</param>
/// <param name="StartTime">Start in force.</param>
/// <param name="EndTime">End in force.</param>
/// <param name="Granularity">Width of the buckets.</param>
/// <param name="Buckets">Oldest first, without gaps.</param>
public sealed record TenantMetrics(
    string TenantId,
    DateTimeOffset StartTime,
    DateTimeOffset EndTime,
    MetricsGranularity Granularity,
    IReadOnlyList<MetricsBucket> Buckets);

/// <summary>Instances that became final within one hour or day.</summary>
/// <param name="BucketTime">Start of the bucket.</param>
/// <param name="InvocationCount">All of them.</param>
/// <param name="SuccessCount">Completed.</param>
/// <param name="FailureCount">Failed.</param>
/// <param name="CancelledCount">Cancelled.</param>
/// <param name="AvgDurationSeconds">Mean time from start to end; null when none ran.</param>
/// <param name="MinDurationSeconds">Shortest.</param>
/// <param name="MaxDurationSeconds">Longest.</param>
/// <param name="AvgMemoryBytes">Mean of the memory peaks; null when none is known.</param>
/// <param name="MaxMemoryBytes">Highest memory peak.</param>
/// <param name="SuccessRatePercent">0 to 100; null when nothing ended.</param>
public sealed record MetricsBucket(
    DateTimeOffset BucketTime,
    long InvocationCount,
    long SuccessCount,
    long FailureCount,
    long CancelledCount,
    double? AvgDurationSeconds,
    double? MinDurationSeconds,
    double? MaxDurationSeconds,
    long? AvgMemoryBytes,
    long? MaxMemoryBytes,
    double? SuccessRatePercent);
