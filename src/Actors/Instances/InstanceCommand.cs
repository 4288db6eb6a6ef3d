using System.Collections.Immutable;
using Runtara.Actors.Images;
using Runtara.Actors.Runners;

namespace Runtara.Actors.Instances;

/// <summary>
/// What can be asked of, or reported to, an instance. Each may be sent twice: the second changes nothing more. What
/// would happen twice carries the id of its request. The second answer is the first one again, or says what is there
/// now: of two savers of a checkpoint, the second finds it. <c>From</c> is the attempt that a workflow's request comes
/// from when the door knows it, else null.
/// </summary>
public abstract record InstanceCommand(InstanceId Instance)
{
    // Callers.

    /// <summary>Starts the instance.</summary>
    public sealed record Start(
        InstanceId Instance, TenantId Tenant, ImageId Image, string ImageName, string ImageSha256,
        ReadOnlyMemory<byte> Input, TimeSpan Timeout, ImmutableSortedDictionary<string, string> Environment)
        : InstanceCommand(Instance);

    /// <summary>Asks for what only memory knows: when the workflow was last heard of.</summary>
    public sealed record GetPresence(InstanceId Instance) : InstanceCommand(Instance);

    /// <summary>
    /// Ends the instance: at once when it has no container, else by SIGTERM and, after <paramref name="Grace"/>,
    /// SIGKILL. A result reported within the grace wins.
    /// </summary>
    public sealed record StopInstance(InstanceId Instance, TimeSpan Grace, string? Reason) : InstanceCommand(Instance);

    /// <summary>A suspended instance goes on; a sleep that it is in counts as elapsed.</summary>
    public sealed record ResumeInstance(InstanceId Instance) : InstanceCommand(Instance);

    /// <summary>An instance-wide signal: cancel beats pause, pause beats resume.</summary>
    public sealed record SendSignal(InstanceId Instance, SignalKind Kind, ReadOnlyMemory<byte> Payload)
        : InstanceCommand(Instance);

    /// <summary>A signal for whoever asks with this key; queued behind those before it.</summary>
    public sealed record SendCustomSignal(
        InstanceId Instance, string Key, ReadOnlyMemory<byte> Payload, Guid Request) : InstanceCommand(Instance);

    // The workflow.

    /// <summary>The workflow says that it runs; creates the instance when nobody started it.</summary>
    public sealed record Register(InstanceId Instance, TenantId Tenant, string? CheckpointId, Attempt? From)
        : InstanceCommand(Instance);

    /// <summary>Saves a checkpoint, or finds the one that is there.</summary>
    public sealed record SaveCheckpoint(
        InstanceId Instance, string CheckpointId, ReadOnlyMemory<byte> State, Attempt? From)
            : InstanceCommand(Instance);

    /// <summary>Asks whether a checkpoint is there.</summary>
    public sealed record LookUpCheckpoint(InstanceId Instance, string CheckpointId, Attempt? From)
        : InstanceCommand(Instance);

    /// <summary>A durable sleep; see semantics, row "Sleep".</summary>
    public sealed record Sleep(InstanceId Instance, string CheckpointId, TimeSpan Duration, Attempt? From)
        : InstanceCommand(Instance);

    /// <summary>A sign of life; never journaled.</summary>
    public sealed record Heartbeat(InstanceId Instance, Attempt? From) : InstanceCommand(Instance);

    /// <summary>The workflow's result.</summary>
    public sealed record ReportCompleted(InstanceId Instance, ReadOnlyMemory<byte> Output, Attempt? From)
        : InstanceCommand(Instance);

    /// <summary>The workflow's failure.</summary>
    public sealed record ReportFailed(InstanceId Instance, string Error, Attempt? From) : InstanceCommand(Instance);

    /// <summary>The workflow stops here until it is resumed.</summary>
    public sealed record ReportSuspended(InstanceId Instance, Attempt? From) : InstanceCommand(Instance);

    /// <summary>Something for the event list.</summary>
    public sealed record ReportCustom(
        InstanceId Instance, string? Subtype, string? CheckpointId, ReadOnlyMemory<byte> Payload,
        DateTimeOffset? ReportedAt, Attempt? From) : InstanceCommand(Instance)
    {
        /// <summary>The request that it came by: one sent again is not stored twice. Empty: unknown.</summary>
        public Guid Request { get; init; }
    }

    /// <summary>The audit record of a retried step.</summary>
    public sealed record RecordRetry(
        InstanceId Instance, string CheckpointId, int AttemptNumber, string? ErrorMessage, Attempt? From)
        : InstanceCommand(Instance)
    {
        /// <summary>The request that it came by: one sent again is not stored twice. Empty: unknown.</summary>
        public Guid Request { get; init; }
    }

    /// <summary>
    /// Asks for the instance-wide signal that waits and, with a key, for the oldest custom signal of that key.
    /// </summary>
    public sealed record PollSignals(InstanceId Instance, string? CheckpointId, Attempt? From)
        : InstanceCommand(Instance);

    /// <summary>Acknowledges the waiting signal of this kind.</summary>
    public sealed record AcknowledgeSignal(InstanceId Instance, SignalKind Kind, Attempt? From)
        : InstanceCommand(Instance);

    // The runner.

    /// <summary>The node has a place for this attempt.</summary>
    public sealed record SlotGranted(InstanceId Instance, Attempt Attempt) : InstanceCommand(Instance);

    /// <summary>
    /// The attempt's program was started at this time: image and input are here, and the time that it may run is
    /// counted from now on. Told again after a <see cref="RunnerCommand.Watch"/>; never journaled.
    /// </summary>
    public sealed record ContainerStarted(InstanceId Instance, Attempt Attempt, DateTimeOffset At)
        : InstanceCommand(Instance);

    /// <summary>
    /// A container of this attempt was found that nobody has asked for: the instance asks for it
    /// (<see cref="RunnerCommand.Watch"/>), or has it stopped because it is not, or no longer, its attempt.
    /// </summary>
    public sealed record ContainerFound(InstanceId Instance, Attempt Attempt) : InstanceCommand(Instance);

    /// <summary>The container could not be started; nothing of it runs.</summary>
    public sealed record LaunchFailed(InstanceId Instance, Attempt Attempt, string Error) : InstanceCommand(Instance);

    /// <summary>The container's process ended, and the container is gone.</summary>
    public sealed record ProcessExited(InstanceId Instance, Attempt Attempt, ExitReport Report)
        : InstanceCommand(Instance);

    /// <summary>Nobody supervises this attempt any more, and its container is dead.</summary>
    public sealed record AttemptVanished(InstanceId Instance, Attempt Attempt, string Reason)
        : InstanceCommand(Instance);

    // Time.

    /// <summary>The wake time that the catalog has for the instance has come.</summary>
    public sealed record Wake(InstanceId Instance) : InstanceCommand(Instance);

    /// <summary>A deadline of the state may have passed.</summary>
    public sealed record Tick(InstanceId Instance) : InstanceCommand(Instance);

    /// <summary>Be in memory and see to it that what should be going on is going on.</summary>
    public sealed record Ensure(InstanceId Instance) : InstanceCommand(Instance);
}
