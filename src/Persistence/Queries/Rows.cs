using Runtara.Actors.Images;
using Runtara.Actors.Instances;

namespace Runtara.Persistence;

/// <summary>All that the catalog knows of an instance.</summary>
public sealed record InstanceRow
{
    /// <summary>The instance.</summary>
    public required InstanceId Id { get; init; }

    /// <summary>Its owner.</summary>
    public required TenantId Tenant { get; init; }

    /// <summary>Where it is in its life.</summary>
    public required InstanceStatus Status { get; init; }

    /// <summary>The number of its newest attempt; 0 before the first launch.</summary>
    public required Attempt Attempt { get; init; }

    /// <summary>Its image; null when it registered itself.</summary>
    public ImageId? Image { get; init; }

    /// <summary>The image's name when it was started.</summary>
    public string? ImageName { get; init; }

    /// <summary>The key of its newest checkpoint or sleep.</summary>
    public string? CheckpointId { get; init; }

    /// <summary>When it was started.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its program first registered.</summary>
    public DateTimeOffset? StartedAt { get; init; }

    /// <summary>When it became terminal.</summary>
    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>When it is to be woken.</summary>
    public DateTimeOffset? WakeAt { get; init; }

    /// <summary>The limit of one attempt's running time; null when it registered itself.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Its input bytes; null when it registered itself.</summary>
    public ReadOnlyMemory<byte>? Input { get; init; }

    /// <summary>Its output bytes, once completed.</summary>
    public ReadOnlyMemory<byte>? Output { get; init; }

    /// <summary>Its error text, once failed.</summary>
    public string? Error { get; init; }

    /// <summary>The last of the standard error of its newest attempt that ended.</summary>
    public string? Stderr { get; init; }

    /// <summary>What the status shows as retries, from 1.</summary>
    public required int RetryCount { get; init; }

    /// <summary>How many attempts in a row may crash.</summary>
    public required int MaxRetries { get; init; }

    /// <summary>Peak memory of its newest attempt that reported it.</summary>
    public long? MemoryPeakBytes { get; init; }

    /// <summary>CPU time of its newest attempt that reported it, in microseconds.</summary>
    public long? CpuMicroseconds { get; init; }
}

/// <summary>An instance in a list.</summary>
public sealed record InstanceSummaryRow(
    InstanceId Id, TenantId Tenant, InstanceStatus Status, ImageId? Image, string? ImageName, DateTimeOffset CreatedAt,
    DateTimeOffset? StartedAt, DateTimeOffset? FinishedAt, bool HasError);

/// <summary>How a list of instances is ordered; ties are broken by the id, ascending.</summary>
public enum InstanceOrder
{
    /// <summary>Newest first.</summary>
    CreatedAtDescending,

    /// <summary>Oldest first.</summary>
    CreatedAtAscending,

    /// <summary>Last finished first; unfinished ones at the end.</summary>
    FinishedAtDescending,

    /// <summary>First finished first; unfinished ones at the end.</summary>
    FinishedAtAscending,
}

/// <summary>Which instances a list shows; null means no filter.</summary>
public sealed record InstanceFilter
{
    /// <summary>Of this tenant; an empty name matches no other.</summary>
    public TenantId? Tenant { get; init; }

    /// <summary>In this status.</summary>
    public InstanceStatus? Status { get; init; }

    /// <summary>Of this image.</summary>
    public ImageId? Image { get; init; }

    /// <summary>Whose image name starts so, case-sensitively.</summary>
    public string? ImageNamePrefix { get; init; }

    /// <summary>Created at this time or later.</summary>
    public DateTimeOffset? CreatedAfter { get; init; }

    /// <summary>Created before this time.</summary>
    public DateTimeOffset? CreatedBefore { get; init; }

    /// <summary>Finished at this time or later.</summary>
    public DateTimeOffset? FinishedAfter { get; init; }

    /// <summary>Finished before this time.</summary>
    public DateTimeOffset? FinishedBefore { get; init; }

    /// <summary>The order.</summary>
    public InstanceOrder Order { get; init; }

    /// <summary>The most rows; taken as given.</summary>
    public int Limit { get; init; } = 100;

    /// <summary>How many rows to skip.</summary>
    public int Offset { get; init; }
}
