using LinqToDB.Mapping;

namespace Runtara.Persistence.Queries;

/// <summary>The instance table as the queries see it.</summary>
[Table("instance")]
internal sealed class InstanceTable
{
    /// <summary>All of them, for statements that are written out.</summary>
    public const string Columns =
        "instance_id, tenant_id, status, shard, attempt, retry_count, max_retries, image_id, "
        + "image_name, checkpoint_id, timeout_ms, created_at, started_at, finished_at, wake_at, "
        + "memory_peak_bytes, cpu_usec, error, stderr, input, output";

    [Column("instance_id"), PrimaryKey, NotNull] public string Id { get; set; } = "";

    [Column("tenant_id"), NotNull] public string Tenant { get; set; } = "";

    [Column("status")] public short Status { get; set; }

    [Column("shard")] public short Shard { get; set; }

    [Column("attempt")] public int Attempt { get; set; }

    [Column("retry_count")] public int RetryCount { get; set; }

    [Column("max_retries")] public int MaxRetries { get; set; }

    [Column("image_id"), Nullable] public string? ImageId { get; set; }

    [Column("image_name"), Nullable] public string? ImageName { get; set; }

    [Column("checkpoint_id"), Nullable] public string? CheckpointId { get; set; }

    [Column("timeout_ms")] public long? TimeoutMs { get; set; }

    [Column("created_at")] public long CreatedAt { get; set; }

    [Column("started_at")] public long? StartedAt { get; set; }

    [Column("finished_at")] public long? FinishedAt { get; set; }

    [Column("wake_at")] public long? WakeAt { get; set; }

    [Column("memory_peak_bytes")] public long? MemoryPeakBytes { get; set; }

    [Column("cpu_usec")] public long? CpuMicroseconds { get; set; }

    [Column("error"), Nullable] public string? Error { get; set; }

    [Column("stderr"), Nullable] public string? Stderr { get; set; }

    [Column("input"), Nullable] public byte[]? Input { get; set; }

    [Column("output"), Nullable] public byte[]? Output { get; set; }
}

/// <summary>The checkpoint table as the queries see it.</summary>
[Table("checkpoint")]
internal sealed class CheckpointTable
{
    [Column("instance_id"), PrimaryKey(0), NotNull] public string InstanceId { get; set; } = "";

    [Column("checkpoint_id"), PrimaryKey(1), NotNull] public string Key { get; set; } = "";

    [Column("seq")] public long SequenceNr { get; set; }

    [Column("at")] public long At { get; set; }

    [Column("size")] public int SizeBytes { get; set; }

    [Column("state"), NotNull] public byte[] State { get; set; } = [];
}

/// <summary>The event table as the queries see it.</summary>
[Table("event")]
internal sealed class EventTable
{
    [Column("event_id"), PrimaryKey] public long Id { get; set; }

    [Column("instance_id"), NotNull] public string InstanceId { get; set; } = "";

    [Column("seq")] public long SequenceNr { get; set; }

    [Column("type"), NotNull] public string Type { get; set; } = "";

    [Column("subtype"), Nullable] public string? Subtype { get; set; }

    [Column("checkpoint_id"), Nullable] public string? CheckpointId { get; set; }

    [Column("payload"), Nullable] public byte[]? Payload { get; set; }

    [Column("created_at")] public long CreatedAt { get; set; }
}

/// <summary>The snapshot table as the queries see it.</summary>
[Table("snapshot")]
internal sealed class SnapshotTable
{
    [Column("instance_id"), PrimaryKey, NotNull] public string Id { get; set; } = "";

    [Column("payload"), NotNull] public byte[] Payload { get; set; } = [];
}

/// <summary>The image table as the queries see it.</summary>
[Table("image")]
internal sealed class ImageTable
{
    /// <summary>All of them, for statements that are written out.</summary>
    public const string Columns =
        "image_id, tenant_id, name, description, runner_type, metadata, sha256, size, created_at, "
        + "is_current, has_agents";

    [Column("image_id"), PrimaryKey, NotNull] public string Id { get; set; } = "";

    [Column("tenant_id"), NotNull] public string Tenant { get; set; } = "";

    [Column("name"), NotNull] public string Name { get; set; } = "";

    [Column("description"), Nullable] public string? Description { get; set; }

    [Column("runner_type")] public short RunnerType { get; set; }

    [Column("metadata"), Nullable] public byte[]? Metadata { get; set; }

    [Column("sha256"), NotNull] public string Sha256 { get; set; } = "";

    [Column("size")] public long Size { get; set; }

    [Column("created_at")] public long CreatedAt { get; set; }

    [Column("is_current")] public bool IsCurrent { get; set; }

    [Column("has_agents")] public bool HasAgents { get; set; }
}
