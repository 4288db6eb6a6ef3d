namespace Runtara.Actors.Instances;

/// <summary>Why a command changed nothing.</summary>
public enum Refusal
{
    /// <summary>There is no such instance (or it belongs to another tenant).</summary>
    NotFound,

    /// <summary>The id is taken by another instance.</summary>
    AlreadyExists,

    /// <summary>The instance is in a state, or the request of an attempt, for which this is impossible.</summary>
    InvalidState,

    /// <summary>The instance has ended.</summary>
    Terminal,

    /// <summary>A limit is reached.</summary>
    LimitExceeded,

    /// <summary>A fault of the daemon itself.</summary>
    InternalError,
}

/// <summary>The answer to a command. It leaves only after its events are durable (semantics, promise 1).</summary>
public abstract record InstanceReply
{
    /// <summary>Done, now or before.</summary>
    public sealed record Accepted : InstanceReply;

    /// <summary>The workflow is registered as this attempt; 0 for a program that nobody launched.</summary>
    public sealed record Registered(Attempt Attempt) : InstanceReply;

    /// <summary>Not done, and nothing changed. The text is the wire's.</summary>
    public sealed record Refused(Refusal Reason, string Text) : InstanceReply;

    /// <summary>
    /// The checkpoint is saved and was new. <paramref name="CustomSignal"/> is the number of the signal that waits
    /// under its key, if any; its payload is in the catalog.
    /// </summary>
    public sealed record CheckpointStored(PendingSignal? Signal, long? CustomSignal) : InstanceReply;

    /// <summary>
    /// The checkpoint was there before; its bytes are in the catalog. For <paramref name="CustomSignal"/> see
    /// <see cref="CheckpointStored"/>.
    /// </summary>
    public sealed record CheckpointFound(PendingSignal? Signal, long? CustomSignal) : InstanceReply;

    /// <summary>There is no such checkpoint.</summary>
    public sealed record CheckpointMissing : InstanceReply;

    /// <summary>The sleep is over.</summary>
    public sealed record SleepElapsed : InstanceReply;

    /// <summary>The sleep goes on until then; ask again with the same key.</summary>
    public sealed record SleepUntil(DateTimeOffset WakeAt) : InstanceReply;

    /// <summary>
    /// What waits for the workflow; <paramref name="CustomSignal"/> is the number of a signal whose payload is in the
    /// catalog.
    /// </summary>
    public sealed record Signals(PendingSignal? Signal, long? CustomSignal) : InstanceReply;

    /// <summary>When the workflow was last heard of.</summary>
    public sealed record LastHeard(DateTimeOffset? HeartbeatAt) : InstanceReply;
}

/// <summary>
/// What <see cref="InstanceDecider.Decide"/> found: nothing has happened until the events are durable.
/// </summary>
/// <param name="Reply">For the sender; null when nobody asked.</param>
/// <param name="Events">To be persisted together, in this order.</param>
/// <param name="Effects">To be performed after that, each harmless when repeated.</param>
public sealed record Decision(
    InstanceReply? Reply, IReadOnlyList<InstanceEvent> Events, IReadOnlyList<Runners.RunnerCommand> Effects)
{
    /// <summary>Nothing to do and nobody to tell.</summary>
    public static readonly Decision Nothing = new(null, [], []);

    /// <summary>A fault of the machine that this is the answer to; for the log.</summary>
    public Exception? Fault { get; init; }
}
