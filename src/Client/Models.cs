using System.Text.Json;

namespace Runtara.Client;

/// <summary>How the program of an image is run.</summary>
public enum RunnerType
{
    /// <summary>In an OCI container.</summary>
    Oci = 0,

    /// <summary>As a plain process.</summary>
    Native = 1,

    /// <summary>In a WebAssembly runtime.</summary>
    Wasm = 2,
}

/// <summary>Where an instance is in its life.</summary>
public enum InstanceStatus
{
    /// <summary>Not known to this client.</summary>
    Unknown = 0,

    /// <summary>Accepted, waits for a place to run.</summary>
    Pending = 1,

    /// <summary>Being launched, or running.</summary>
    Running = 2,

    /// <summary>Paused or asleep.</summary>
    Suspended = 3,

    /// <summary>Ended with an output; final.</summary>
    Completed = 4,

    /// <summary>Ended with an error; final.</summary>
    Failed = 5,

    /// <summary>Stopped on request; final.</summary>
    Cancelled = 6,
}

/// <summary>Answers about an <see cref="InstanceStatus"/>.</summary>
public static class InstanceStatusExtensions
{
    /// <summary>Whether the status never changes again.</summary>
    /// <param name="status">Status.</param>
    public static bool IsFinal(this InstanceStatus status) =>
        status is InstanceStatus.Completed or InstanceStatus.Failed or InstanceStatus.Cancelled;
}

/// <summary>How the server is.</summary>
/// <param name="Healthy">Its store answers.</param>
/// <param name="Version">Version of the daemon.</param>
/// <param name="UptimeMs">Milliseconds since it started.</param>
/// <param name="ActiveInstances">Instances that are running or suspended now.</param>
public sealed record HealthStatus(bool Healthy, string Version, long UptimeMs, uint ActiveInstances);

/// <summary>An image.</summary>
/// <param name="ImageId">Id to start instances with.</param>
/// <param name="TenantId">Owner.</param>
/// <param name="Name">Name within the tenant.</param>
/// <param name="Description">Text for people.</param>
/// <param name="RunnerType">How it is run.</param>
/// <param name="CreatedAt">When it was registered.</param>
public sealed record ImageSummary(
    string ImageId, string TenantId, string Name, string? Description, RunnerType RunnerType, DateTimeOffset CreatedAt);

/// <summary>A page of images.</summary>
/// <param name="Images">Newest first.</param>
/// <param name="TotalCount">Images that match, on all pages.</param>
public sealed record ListImagesResult(IReadOnlyList<ImageSummary> Images, uint TotalCount);

/// <summary>What to call an image that is uploaded.</summary>
/// <param name="TenantId">Owner.</param>
/// <param name="Name">Name within the tenant; it means the newest image registered with it.</param>
public sealed record ImageUpload(string TenantId, string Name)
{
    /// <summary>Text for people.</summary>
    public string? Description { get; init; }

    /// <summary>JSON kept with the image.</summary>
    public JsonElement? Metadata { get; init; }

    /// <summary>How to run it. Default <see cref="RunnerType.Oci"/>.</summary>
    public RunnerType RunnerType { get; init; }
}

/// <summary>What to start.</summary>
/// <param name="ImageId">Image to run.</param>
/// <param name="TenantId">Owner of the image and of the instance.</param>
public sealed record InstanceStart(string ImageId, string TenantId)
{
    /// <summary>Id to use; null makes the client choose a new one. A start that is repeated with its id starts nothing
    /// again.</summary>
    public string? InstanceId { get; init; }

    /// <summary>Input as JSON in UTF-8; empty means <c>{}</c>.</summary>
    public ReadOnlyMemory<byte> Input { get; init; }

    /// <summary>Running time of one attempt, in whole seconds. Null means the server's 300 s.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Environment variables of every attempt.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();
}

/// <summary>Everything about an instance.</summary>
public sealed record InstanceInfo
{
    /// <summary>Id.</summary>
    public required string InstanceId { get; init; }

    /// <summary>Image it runs.</summary>
    public required string ImageId { get; init; }

    /// <summary>Name of that image at start.</summary>
    public required string ImageName { get; init; }

    /// <summary>Owner.</summary>
    public required string TenantId { get; init; }

    /// <summary>Where it is in its life.</summary>
    public required InstanceStatus Status { get; init; }

    /// <summary>Key of the checkpoint saved last.</summary>
    public string? CheckpointId { get; init; }

    /// <summary>When it was accepted.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it ran first.</summary>
    public DateTimeOffset? StartedAt { get; init; }

    /// <summary>When it became final.</summary>
    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>Last sign of life.</summary>
    public DateTimeOffset? HeartbeatAt { get; init; }

    /// <summary>What it was started with; null when it is not JSON.</summary>
    public JsonElement? Input { get; init; }

    /// <summary>What it completed with; null when there is none or it is not JSON.</summary>
    public JsonElement? Output { get; init; }

    /// <summary>What it failed with.</summary>
    public string? Error { get; init; }

    /// <summary>End of what it wrote to standard error.</summary>
    public string? Stderr { get; init; }

    /// <summary>Attempts lost without a new checkpoint.</summary>
    public required uint RetryCount { get; init; }

    /// <summary>How many of those are allowed.</summary>
    public required uint MaxRetries { get; init; }

    /// <summary>Most memory its container held, in bytes.</summary>
    public ulong? MemoryPeakBytes { get; init; }

    /// <summary>Processor time of its container, in microseconds.</summary>
    public ulong? CpuUsageUsec { get; init; }
}

/// <summary>An instance in a list.</summary>
/// <param name="InstanceId">Id.</param>
/// <param name="TenantId">Owner.</param>
/// <param name="ImageId">Image it runs.</param>
/// <param name="Status">Where it is in its life.</param>
/// <param name="CreatedAt">When it was accepted.</param>
/// <param name="StartedAt">When it ran first.</param>
/// <param name="FinishedAt">When it became final.</param>
/// <param name="HasError">Whether it carries an error text.</param>
public sealed record InstanceSummary(
    string InstanceId,
    string TenantId,
    string ImageId,
    InstanceStatus Status,
    DateTimeOffset CreatedAt,
    DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt,
    bool HasError);

/// <summary>A page of instances.</summary>
/// <param name="Instances">In the order asked for.</param>
/// <param name="TotalCount">Instances that match, on all pages.</param>
public sealed record ListInstancesResult(IReadOnlyList<InstanceSummary> Instances, uint TotalCount);

/// <summary>Which instances to list; what is null does not filter.</summary>
public sealed record InstanceFilter
{
    /// <summary>Owner.</summary>
    public string? TenantId { get; init; }

    /// <summary>Status.</summary>
    public InstanceStatus? Status { get; init; }

    /// <summary>Image.</summary>
    public string? ImageId { get; init; }

    /// <summary>Start of the image's name.</summary>
    public string? ImageNamePrefix { get; init; }

    /// <summary>Created at or after.</summary>
    public DateTimeOffset? CreatedAfter { get; init; }

    /// <summary>Created before.</summary>
    public DateTimeOffset? CreatedBefore { get; init; }

    /// <summary>Most rows, 1 to 1,000. Default 100.</summary>
    public uint Limit { get; init; } = 100;

    /// <summary>Rows to skip. Default 0.</summary>
    public uint Offset { get; init; }
}
