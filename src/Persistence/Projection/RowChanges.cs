using Runtara.Persistence.Journal;

namespace Runtara.Persistence.Projection;

/// <summary>Which columns of an instance row a commit changes.</summary>
[Flags]
internal enum Change
{
    None = 0,
    Status = 1,
    Attempt = 2,
    CheckpointId = 4,
    StartedAtIfNull = 8,
    WakeAt = 16,
    RetryCount = 32,
    FinishedAt = 64,
    Error = 128,
    Output = 256,
    Stderr = 512,
    MemoryPeak = 1024,
    Cpu = 2048,

    /// <summary>What changes while an instance runs: small columns, in a statement of their own.</summary>
    Progress = Status | Attempt | CheckpointId | StartedAtIfNull | WakeAt | RetryCount | FinishedAt,

    /// <summary>What an attempt or an instance leaves at its end.</summary>
    Results = Error | Output | Stderr | MemoryPeak | Cpu,
}

/// <summary>A new instance row.</summary>
internal sealed record NewInstance(
    string InstanceId, string TenantId, short Status, int Shard, string? ImageId, string? ImageName, long? TimeoutMs,
    int MaxRetries, long CreatedAt, long? StartedAt, byte[]? Input);

/// <summary>What one commit changes in one instance row; of several values for a column the last is left.</summary>
internal sealed class InstancePatch(string instanceId)
{
    public string InstanceId { get; } = instanceId;

    public Change Changes { get; private set; }

    public short Status { get; private set; }

    public int Attempt { get; private set; }

    public string? CheckpointId { get; private set; }

    public long StartedAt { get; private set; }

    public long? WakeAt { get; private set; }

    public int RetryCount { get; private set; }

    public long? FinishedAt { get; private set; }

    public string? Error { get; private set; }

    public byte[]? Output { get; private set; }

    public string? Stderr { get; private set; }

    public long? MemoryPeakBytes { get; private set; }

    public long? CpuMicroseconds { get; private set; }

    public InstancePatch SetStatus(Actors.Instances.InstanceStatus value)
    {
        (Status, Changes) = ((short)value, Changes | Change.Status);
        return this;
    }

    public InstancePatch SetAttempt(int value)
    {
        (Attempt, Changes) = (value, Changes | Change.Attempt);
        return this;
    }

    public InstancePatch SetCheckpoint(string value)
    {
        (CheckpointId, Changes) = (value, Changes | Change.CheckpointId);
        return this;
    }

    public InstancePatch SetStartedIfNull(long value)
    {
        if (!Changes.HasFlag(Change.StartedAtIfNull))
            (StartedAt, Changes) = (value, Changes | Change.StartedAtIfNull);
        return this;
    }

    public InstancePatch SetWake(long? value)
    {
        (WakeAt, Changes) = (value, Changes | Change.WakeAt);
        return this;
    }

    public InstancePatch SetRetryCount(int value)
    {
        (RetryCount, Changes) = (value, Changes | Change.RetryCount);
        return this;
    }

    public InstancePatch SetFinished(long value)
    {
        (FinishedAt, Changes) = (value, Changes | Change.FinishedAt);
        return this;
    }

    public InstancePatch SetResult(byte[]? output, string? error)
    {
        (Output, Error, Changes) = (output, error, Changes | Change.Output | Change.Error);
        return this;
    }

    public InstancePatch SetStderr(string? value)
    {
        (Stderr, Changes) = (value, Changes | Change.Stderr);
        return this;
    }

    public InstancePatch SetMetrics(long? memoryPeakBytes, long? cpuMicroseconds)
    {
        if (memoryPeakBytes is not null)
            (MemoryPeakBytes, Changes) = (memoryPeakBytes, Changes | Change.MemoryPeak);
        if (cpuMicroseconds is not null)
            (CpuMicroseconds, Changes) = (cpuMicroseconds, Changes | Change.Cpu);
        return this;
    }
}

/// <summary>A new checkpoint row.</summary>
internal sealed record NewCheckpoint(string InstanceId, string Key, long SequenceNr, long At, byte[] State);

/// <summary>A new row of the event list.</summary>
internal sealed record NewEvent(
    string InstanceId, long SequenceNr, string Type, string? Subtype, string? CheckpointId, byte[]? Payload,
    long CreatedAt);

/// <summary>A custom signal that waits.</summary>
internal sealed record NewCustomSignal(string InstanceId, long Number, string Key, long At, byte[] Payload);

/// <summary>
/// A custom signal that waits no longer. A reply that gives its number may be on its way and asks for the payload after
/// this commit, so its row stays until the instance consumes others, or ends.
/// </summary>
internal sealed record ConsumedSignal(string InstanceId, long Number);

/// <summary>What one transaction writes.</summary>
internal sealed class RowChanges
{
    private readonly Dictionary<string, InstancePatch> _patches = [];

    public List<JournalRow> Journal { get; } = [];

    public List<NewInstance> Instances { get; } = [];

    public List<NewCheckpoint> Checkpoints { get; } = [];

    public List<NewEvent> Events { get; } = [];

    public List<NewCustomSignal> CustomSignals { get; } = [];

    public List<ConsumedSignal> Consumed { get; } = [];

    /// <summary>Instances that have ended: nobody asks for what they consumed.</summary>
    public List<string> Ended { get; } = [];

    public IReadOnlyCollection<InstancePatch> Patches => _patches.Values;

    public static RowChanges Of(IReadOnlyList<AtomicUnit> units)
    {
        var changes = new RowChanges();
        foreach (var unit in units)
        {
            foreach (var row in unit.Rows)
            {
                changes.Journal.Add(row);
                if (row.Event is not null)
                    Projection.Apply(changes, row, row.Event);
            }
        }
        return changes;
    }

    public InstancePatch Patch(string instanceId)
    {
        if (!_patches.TryGetValue(instanceId, out var patch))
            _patches.Add(instanceId, patch = new InstancePatch(instanceId));
        return patch;
    }
}
