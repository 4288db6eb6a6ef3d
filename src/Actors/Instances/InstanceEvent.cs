using System.Collections.Immutable;
using Runtara.Actors.Images;

namespace Runtara.Actors.Instances;

/// <summary>The status of an instance on the wire and in the catalog; the numbers are those of the protocol.</summary>
public enum InstanceStatus
{
    /// <summary>No such instance.</summary>
    Unknown = 0,

    /// <summary>Started, and waiting for a runner slot or for its next try.</summary>
    Pending = 1,

    /// <summary>An attempt is launching or running.</summary>
    Running = 2,

    /// <summary>Paused, or asleep until a wake time; there is no container.</summary>
    Suspended = 3,

    /// <summary>Ended with an output.</summary>
    Completed = 4,

    /// <summary>Ended with an error.</summary>
    Failed = 5,

    /// <summary>Ended by a caller's wish.</summary>
    Cancelled = 6,
}

/// <summary>Why a live attempt is being stopped.</summary>
public enum StopReason
{
    /// <summary>It ran longer than its <c>timeout_seconds</c>.</summary>
    Timeout = 1,

    /// <summary>It sent no request for the liveness limit.</summary>
    Stale = 2,

    /// <summary>A caller asked for the end of the instance.</summary>
    Cancel = 3,
}

/// <summary>An instance-wide signal; the numbers are those of the protocol.</summary>
public enum SignalKind
{
    /// <summary>End the instance.</summary>
    Cancel = 0,

    /// <summary>Suspend the instance until it is resumed.</summary>
    Pause = 1,

    /// <summary>Go on after a pause.</summary>
    Resume = 2,
}

/// <summary>
/// What happened to an instance. This is the journal's vocabulary: extended, never changed. Bytes that can be large
/// (input, output, checkpoint state, event payload) ride along as properties outside the primary constructor: the
/// transaction that stores the event writes them to their catalog rows, and a replayed event has them empty (D3).
/// </summary>
public abstract record InstanceEvent(DateTimeOffset At)
{
    /// <summary>A caller started an instance of an image.</summary>
    public sealed record Started(
        InstanceId Instance, TenantId Tenant, ImageId Image, string ImageName, string ImageSha256, string InputSha256,
        TimeSpan Timeout, ImmutableSortedDictionary<string, string> Environment, int MaxAttempts, DateTimeOffset At)
        : InstanceEvent(At)
    {
        /// <summary>The input as it is written to <c>input.json</c>; goes to the instance's catalog row.</summary>
        public ReadOnlyMemory<byte> Input { get; init; }
    }

    /// <summary>A program that nobody started registered itself; it has no image and is never launched.</summary>
    public sealed record SelfRegistered(InstanceId Instance, TenantId Tenant, DateTimeOffset At) : InstanceEvent(At);

    /// <summary>A slot was granted and the container of this attempt is about to be started.</summary>
    public sealed record AttemptLaunched(Attempt Attempt, string? CheckpointId, DateTimeOffset At) : InstanceEvent(At);

    /// <summary>The workflow of this attempt said that it runs. Shown as an event of type <c>started</c>.</summary>
    public sealed record AttemptRegistered(Attempt Attempt, string? CheckpointId, DateTimeOffset At)
        : InstanceEvent(At);

    /// <summary>A new checkpoint; its state goes to the checkpoint table.</summary>
    public sealed record CheckpointSaved(string CheckpointId, int SizeBytes, DateTimeOffset At) : InstanceEvent(At)
    {
        /// <summary>The state bytes.</summary>
        public ReadOnlyMemory<byte> State { get; init; }
    }

    /// <summary>A durable sleep got its wake time, once and for all.</summary>
    public sealed record SleepScheduled(string CheckpointId, DateTimeOffset WakeAt, DateTimeOffset At)
        : InstanceEvent(At);

    /// <summary>
    /// The attempt's container is given up for a sleep; the instance is suspended until <paramref name="WakeAt"/>.
    /// </summary>
    public sealed record Hibernated(Attempt Attempt, string CheckpointId, DateTimeOffset WakeAt, DateTimeOffset At)
        : InstanceEvent(At);

    /// <summary>The workflow reported <c>suspended</c>; shown as an event of that type.</summary>
    public sealed record Paused(Attempt Attempt, DateTimeOffset At) : InstanceEvent(At)
    {
        /// <summary>Where it goes on, when <c>output.json</c> says so; null: at its newest checkpoint.</summary>
        public string? CheckpointId { get; init; }
    }

    /// <summary>
    /// A suspended instance goes on: its wake time came, or (<paramref name="Early"/>) a caller resumed it.
    /// </summary>
    public sealed record Woken(bool Early, DateTimeOffset At) : InstanceEvent(At)
    {
        /// <summary>
        /// Of an early one: the sleeps due by then count as elapsed; null, as in rows of old, means every sleep.
        /// </summary>
        public DateTimeOffset? ElapsedUntil { get; init; }

        /// <summary>What the status shows as <c>retry_count</c> from now on; null when it stays.</summary>
        public int? RetryCount { get; init; }
    }

    /// <summary>
    /// How the process of an attempt ended. Goes to the catalog (stderr, metrics) and decides nothing by itself: the
    /// event after it does.
    /// </summary>
    public sealed record AttemptExited(
        Attempt Attempt, int? ExitCode, int? Signal, bool OutOfMemory, string StderrTail, long? MemoryPeakBytes,
        long? CpuMicroseconds, DateTimeOffset At) : InstanceEvent(At);

    /// <summary>
    /// The attempt crashed and the next one starts at <paramref name="RetryAt"/>. <paramref name="RetryCount"/> is what
    /// the status shows from now on, <paramref name="CrashesInARow"/> how many attempts in a row saved no checkpoint.
    /// </summary>
    public sealed record AttemptCrashed(
        Attempt Attempt, string Error, int RetryCount, int CrashesInARow, DateTimeOffset RetryAt, DateTimeOffset At)
        : InstanceEvent(At);

    /// <summary>
    /// The attempt is gone through no fault of its own (its daemon ended); the next one costs nothing.
    /// </summary>
    public sealed record AttemptLost(Attempt Attempt, string Reason, DateTimeOffset At) : InstanceEvent(At)
    {
        /// <inheritdoc cref="Woken.RetryCount" />
        public int? RetryCount { get; init; }
    }

    /// <summary>The live attempt was told to stop; what follows its exit depends on the reason.</summary>
    public sealed record StopRequested(
        Attempt Attempt, StopReason Reason, string? Detail, TimeSpan Grace, DateTimeOffset At) : InstanceEvent(At);

    /// <summary>The instance ended with an output.</summary>
    public sealed record Completed(string OutputSha256, DateTimeOffset At) : InstanceEvent(At)
    {
        /// <summary>The output bytes as reported.</summary>
        public ReadOnlyMemory<byte> Output { get; init; }
    }

    /// <summary>The instance ended with an error.</summary>
    public sealed record Failed(string Error, DateTimeOffset At) : InstanceEvent(At);

    /// <summary>The instance was cancelled.</summary>
    public sealed record Cancelled(string? Reason, DateTimeOffset At) : InstanceEvent(At);

    /// <summary>
    /// An event of type <c>custom</c> for the event list; <paramref name="ReportedAt"/> is the client's time.
    /// </summary>
    public sealed record CustomReported(
        string? Subtype, string? CheckpointId, DateTimeOffset ReportedAt, DateTimeOffset At) : InstanceEvent(At)
    {
        /// <summary>The payload bytes.</summary>
        public ReadOnlyMemory<byte> Payload { get; init; }

        /// <summary>The request that it came by; empty when unknown.</summary>
        public Guid Request { get; init; }
    }

    /// <summary>The workflow retried a step; kept for the audit.</summary>
    public sealed record RetryRecorded(
        string CheckpointId, int AttemptNumber, string? ErrorMessage, DateTimeOffset At) : InstanceEvent(At)
    {
        /// <summary>The request that it came by; empty when unknown.</summary>
        public Guid Request { get; init; }
    }

    /// <summary>A signal waits for the workflow.</summary>
    public sealed record SignalSent(SignalKind Kind, DateTimeOffset At) : InstanceEvent(At)
    {
        /// <summary>The payload bytes; small, and kept in the journal.</summary>
        public ReadOnlyMemory<byte> Payload { get; init; }
    }

    /// <summary>The workflow acknowledged the waiting signal of this kind.</summary>
    public sealed record SignalAcknowledged(SignalKind Kind, DateTimeOffset At) : InstanceEvent(At);

    /// <summary>
    /// A custom signal joined the queue of its key. <paramref name="Number"/> counts those of the instance, from 1.
    /// </summary>
    public sealed record CustomSignalSent(long Number, string Key, Guid Request, DateTimeOffset At)
        : InstanceEvent(At)
    {
        /// <summary>The payload bytes; they go to the catalog.</summary>
        public ReadOnlyMemory<byte> Payload { get; init; }
    }

    /// <summary>
    /// The live attempt was given the oldest signal of a key. It is given the same one until it is consumed.
    /// </summary>
    public sealed record CustomSignalDelivered(string Key, long Number, DateTimeOffset At) : InstanceEvent(At);

    /// <summary>
    /// The attempt saved a new checkpoint or reported an event after these were delivered: they are done with.
    /// </summary>
    public sealed record CustomSignalsConsumed(ImmutableArray<long> Numbers, DateTimeOffset At) : InstanceEvent(At);
}
