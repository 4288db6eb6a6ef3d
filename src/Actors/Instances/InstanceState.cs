using System.Collections.Immutable;
using System.Diagnostics;
using Runtara.Actors.Images;

namespace Runtara.Actors.Instances;

/// <summary>What lasts for the life of an instance, whatever phase it is in.</summary>
public sealed record InstanceFacts
{
    /// <summary>The instance.</summary>
    public required InstanceId Id { get; init; }

    /// <summary>Its owner.</summary>
    public required TenantId Tenant { get; init; }

    /// <summary>The image it was started from; null when it registered itself.</summary>
    public ImageId? Image { get; init; }

    /// <summary>The SHA-256 of the image's bytes; empty when there is no image.</summary>
    public string ImageSha256 { get; init; } = "";

    /// <summary>The SHA-256 of the input; what makes a second start the same start.</summary>
    public string InputSha256 { get; init; } = "";

    /// <summary>The limit of one attempt's running time.</summary>
    public TimeSpan Timeout { get; init; }

    /// <summary>The variables that every attempt gets.</summary>
    public ImmutableSortedDictionary<string, string> Environment { get; init; } =
        ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>How many attempts in a row may crash without a new checkpoint.</summary>
    public int MaxAttempts { get; init; }

    /// <summary>The last attempt that was launched.</summary>
    public Attempt Attempt { get; init; } = Attempt.None;

    /// <summary>What the status shows as <c>retry_count</c>; from 1.</summary>
    public int RetryCount { get; init; } = 1;

    /// <summary>Crashed attempts in a row that saved no new checkpoint.</summary>
    public int CrashesInARow { get; init; }

    /// <summary>Whether the last attempt saved a new checkpoint.</summary>
    public bool Progressed { get; init; }

    /// <summary>The keys of all checkpoints; their bytes are in the checkpoint table (D3).</summary>
    public ImmutableHashSet<string> Checkpoints { get; init; } = [];

    /// <summary>The wake time of every durable sleep ever asked for, by its key.</summary>
    public ImmutableDictionary<string, DateTimeOffset> Sleeps { get; init; } =
        ImmutableDictionary<string, DateTimeOffset>.Empty;

    /// <summary>The key that the next attempt is told to go on from.</summary>
    public string? ResumeFrom { get; init; }

    /// <summary>The instance-wide signal that waits for an acknowledgement.</summary>
    public PendingSignal? Signal { get; init; }

    /// <summary>The custom signals that wait.</summary>
    public CustomSignals CustomSignals { get; init; } = CustomSignals.None;

    /// <summary>The newest requests that would happen twice if they were carried out again.</summary>
    public RecentRequests RecentRequests { get; init; } = RecentRequests.None;
}

/// <summary>A signal that the workflow has not acknowledged.</summary>
public sealed record PendingSignal(SignalKind Kind, ReadOnlyMemory<byte> Payload);

/// <summary>That a live attempt was told to stop.</summary>
public sealed record StopOrder(StopReason Reason, DateTimeOffset At, TimeSpan Grace);

/// <summary>
/// What memory knows of a live attempt and the journal does not: lost with the process, and rebuilt by listening.
/// <see cref="Waiting"/> are the sleeps that the attempt waits in, by key.
/// </summary>
public sealed record Presence(DateTimeOffset SeenAt, DateTimeOffset IdleSince)
{
    /// <summary>When the program was started; null while it has not been, or until the runner says so again.</summary>
    public DateTimeOffset? StartedAt { get; init; }

    /// <summary>The last heartbeat.</summary>
    public DateTimeOffset? HeartbeatAt { get; init; }

    /// <summary>The sleeps that the attempt waits in.</summary>
    public ImmutableDictionary<string, DateTimeOffset> Waiting { get; init; } =
        ImmutableDictionary<string, DateTimeOffset>.Empty;
}

// The machine. On the wire Launching and Running are STATUS_RUNNING.
//
//            Started              AttemptLaunched            AttemptRegistered
//  Absent ───────────▶ Pending ───────────────▶ Launching ───────────────▶ Running
//    │                 ▲  ▲  ▲                      │                        │
//    │ SelfRegistered  │  │  └── AttemptCrashed ────┴── AttemptLost ─────────┤
//    │                 │  │ Woken                                           │
//    │                 │  └────── Suspended ◀── Hibernated, Paused ──────────┤
//    └──▶ Running      │              │                                      │
//                      └──────────────┴──▶ Ended ◀── Completed, Failed, Cancelled

/// <summary>The phase of an instance. Only <see cref="Apply"/> makes a new one from an event.</summary>
public abstract record InstanceState
{
    private InstanceState()
    {
    }

    /// <summary>The status that the wire and the catalog show.</summary>
    public abstract InstanceStatus Status { get; }

    /// <summary>Nothing is known of the instance.</summary>
    public sealed record Absent : InstanceState
    {
        /// <inheritdoc />
        public override InstanceStatus Status => InstanceStatus.Unknown;
    }

    /// <summary>A phase of an instance that exists.</summary>
    public abstract record Existing(InstanceFacts Facts) : InstanceState;

    /// <summary>Waits for a runner slot, from <paramref name="NotBefore"/> on.</summary>
    public sealed record Pending(InstanceFacts Facts, DateTimeOffset NotBefore) : Existing(Facts)
    {
        /// <inheritdoc />
        public override InstanceStatus Status => InstanceStatus.Pending;

        /// <summary>Whether a caller resumed it: the same wish once more is then granted already.</summary>
        public bool Resumed { get; init; }
    }

    /// <summary>An attempt has a process, or is about to. <paramref name="Since"/> is its launch.</summary>
    public abstract record Live(InstanceFacts Facts, DateTimeOffset Since, Presence Presence) : Existing(Facts)
    {
        /// <inheritdoc />
        public override InstanceStatus Status => InstanceStatus.Running;

        /// <summary>The order to stop, once given.</summary>
        public StopOrder? Stop { get; init; }

        /// <summary>The process has ended; the event after it says what follows, and nothing is left to stop.</summary>
        public bool HasExited { get; init; }
    }

    /// <summary>The container is being started; its workflow has not registered.</summary>
    public sealed record Launching(InstanceFacts Facts, DateTimeOffset Since, Presence Presence)
        : Live(Facts, Since, Presence);

    /// <summary>The workflow has registered.</summary>
    public sealed record Running(InstanceFacts Facts, DateTimeOffset Since, Presence Presence)
        : Live(Facts, Since, Presence);

    /// <summary>
    /// Asleep until <paramref name="WakeAt"/>, or paused (null). <paramref name="Leaving"/> is the attempt whose
    /// process may not have ended yet.
    /// </summary>
    public sealed record Suspended(
        InstanceFacts Facts, DateTimeOffset? WakeAt, DateTimeOffset Since, Attempt? Leaving) : Existing(Facts)
    {
        /// <inheritdoc />
        public override InstanceStatus Status => InstanceStatus.Suspended;
    }

    /// <summary>Terminal. <paramref name="Result"/> is the output's SHA-256 or the error text.</summary>
    public sealed record Ended(
        InstanceFacts Facts, InstanceStatus Outcome, string Result, DateTimeOffset Since, Attempt? Leaving)
        : Existing(Facts)
    {
        /// <inheritdoc />
        public override InstanceStatus Status => Outcome;
    }

    /// <summary>
    /// The state after an event. Throws on an event that cannot happen here: the journal would be wrong.
    /// </summary>
    public InstanceState Apply(InstanceEvent happened) => (this, happened) switch
    {
        (Absent, InstanceEvent.Started e) => new Pending(FactsOf(e), e.At),
        (Absent, InstanceEvent.SelfRegistered e) => new Running(FactsOf(e), e.At, new Presence(e.At, e.At)),
        (Pending p, InstanceEvent.AttemptLaunched e) => Launch(p, e),
        (Launching l, InstanceEvent.AttemptRegistered) => new Running(l.Facts, l.Since, l.Presence) { Stop = l.Stop },
        (Running r, InstanceEvent.AttemptRegistered) => r,
        (Suspended s, InstanceEvent.AttemptRegistered e) => new Running(s.Facts, e.At, new Presence(e.At, e.At)),
        (Live l, InstanceEvent.CheckpointSaved e) => l with { Facts = Saved(l.Facts, e.CheckpointId) },
        (Live l, InstanceEvent.SleepScheduled e) => l with { Facts = Scheduled(l.Facts, e) },
        (Live l, InstanceEvent.Hibernated e) => Hibernate(l, e),
        (Live l, InstanceEvent.Paused e) => Pause(l, e),
        (Suspended s, InstanceEvent.Woken { Early: true } e) => ResumedBy(s, e),
        (Suspended s, InstanceEvent.Woken e) => new Pending(Counted(s.Facts, e.RetryCount), e.At),
        (Live l, InstanceEvent.StopRequested e) => l with { Stop = new StopOrder(e.Reason, e.At, e.Grace) },
        (Live l, InstanceEvent.AttemptExited) => l with { HasExited = true },
        (Suspended s, InstanceEvent.AttemptExited) => s with { Leaving = null },
        (Ended s, InstanceEvent.AttemptExited) => s with { Leaving = null },
        (Existing s, InstanceEvent.AttemptExited) => s,
        (Live l, InstanceEvent.AttemptCrashed e) => new Pending(Crashed(l.Facts, e), e.RetryAt),
        (Live l, InstanceEvent.AttemptLost e) => new Pending(Counted(l.Facts, e.RetryCount), e.At),
        (Live l, InstanceEvent.Completed e) => End(l, InstanceStatus.Completed, e.OutputSha256, e.At),
        (Existing s and not Ended, InstanceEvent.Failed e) => End(s, InstanceStatus.Failed, e.Error, e.At),
        (Existing s and not Ended, InstanceEvent.Cancelled e) => End(s, InstanceStatus.Cancelled, "", e.At),
        (Existing s, InstanceEvent.CustomReported e) => s with { Facts = Remembering(s.Facts, e.Request) },
        (Existing s, InstanceEvent.RetryRecorded e) => s with { Facts = Remembering(s.Facts, e.Request) },
        (Existing s, InstanceEvent.SignalSent e) =>
            s with { Facts = s.Facts with { Signal = new PendingSignal(e.Kind, e.Payload) } },
        (Existing s, InstanceEvent.SignalAcknowledged e) => s with { Facts = Unsignalled(s.Facts, e.Kind) },
        (Existing s, InstanceEvent.CustomSignalSent e) => s with { Facts = Queued(s.Facts, e) },
        (Existing s, InstanceEvent.CustomSignalDelivered e) =>
            s with { Facts = s.Facts with { CustomSignals = s.Facts.CustomSignals.DeliveredTo(e.Key, e.Number) } },
        (Existing s, InstanceEvent.CustomSignalsConsumed e) =>
            s with { Facts = s.Facts with { CustomSignals = s.Facts.CustomSignals.Consumed(e.Numbers) } },
        _ => throw new UnreachableException($"{GetType().Name} cannot apply {happened.GetType().Name}"),
    };

    private static InstanceFacts FactsOf(InstanceEvent.Started e) => new()
    {
        Id = e.Instance,
        Tenant = e.Tenant,
        Image = e.Image,
        ImageSha256 = e.ImageSha256,
        InputSha256 = e.InputSha256,
        Timeout = e.Timeout,
        Environment = e.Environment,
        MaxAttempts = e.MaxAttempts,
    };

    private static InstanceFacts FactsOf(InstanceEvent.SelfRegistered e) =>
        new() { Id = e.Instance, Tenant = e.Tenant };

    private static Launching Launch(Pending p, InstanceEvent.AttemptLaunched e)
    {
        var crashes = p.Facts.Progressed ? 0 : p.Facts.CrashesInARow;
        var facts = p.Facts with
        {
            Attempt = e.Attempt,
            Progressed = false,
            CrashesInARow = crashes,
            CustomSignals = p.Facts.CustomSignals.Again(),
        };
        return new Launching(facts, e.At, new Presence(e.At, e.At));
    }

    private static InstanceFacts Saved(InstanceFacts facts, string key) =>
        facts with { Checkpoints = facts.Checkpoints.Add(key), Progressed = true, ResumeFrom = key };

    private static InstanceFacts Scheduled(InstanceFacts facts, InstanceEvent.SleepScheduled e) =>
        facts with { Sleeps = facts.Sleeps.SetItem(e.CheckpointId, e.WakeAt) };

    // output.json may ask for a wake without a Sleep request before it: its key is then a sleep like any other.
    private static Suspended Hibernate(Live l, InstanceEvent.Hibernated e)
    {
        var sleeps = l.Facts.Sleeps.ContainsKey(e.CheckpointId)
            ? l.Facts.Sleeps
            : l.Facts.Sleeps.Add(e.CheckpointId, e.WakeAt);
        return new Suspended(
            l.Facts with { Sleeps = sleeps, ResumeFrom = e.CheckpointId }, e.WakeAt, e.At, l.Leaving());
    }

    private static Suspended Pause(Live l, InstanceEvent.Paused e)
    {
        var facts = Unsignalled(l.Facts, SignalKind.Pause);
        return new Suspended(
            facts with { ResumeFrom = e.CheckpointId ?? facts.ResumeFrom }, null, e.At, l.Leaving());
    }

    private static Pending ResumedBy(Suspended s, InstanceEvent.Woken e)
    {
        var facts = Unsignalled(Unsignalled(SleptEnough(s.Facts, e), SignalKind.Pause), SignalKind.Resume);
        return new Pending(Counted(facts, e.RetryCount), e.At) { Resumed = true };
    }

    private static InstanceFacts SleptEnough(InstanceFacts facts, InstanceEvent.Woken e)
    {
        var until = e.ElapsedUntil ?? DateTimeOffset.MaxValue;
        var ended = facts.Sleeps.Where(s => s.Value > e.At && s.Value <= until);
        return facts with { Sleeps = facts.Sleeps.SetItems(ended.Select(s => KeyValuePair.Create(s.Key, e.At))) };
    }

    private static InstanceFacts Counted(InstanceFacts facts, int? retryCount) =>
        retryCount is { } count ? facts with { RetryCount = count } : facts;

    private static InstanceFacts Crashed(InstanceFacts facts, InstanceEvent.AttemptCrashed e) =>
        facts with { RetryCount = e.RetryCount, CrashesInARow = e.CrashesInARow };

    private static InstanceFacts Queued(InstanceFacts facts, InstanceEvent.CustomSignalSent e) =>
        Remembering(facts, e.Request) with { CustomSignals = facts.CustomSignals.Sent(e.Key, e.Number) };

    private static InstanceFacts Remembering(InstanceFacts facts, Guid request) => request == Guid.Empty
        ? facts
        : facts with { RecentRequests = facts.RecentRequests.Add(request) };

    private static InstanceFacts Unsignalled(InstanceFacts facts, SignalKind kind) =>
        facts.Signal?.Kind == kind ? facts with { Signal = null } : facts;

    private static Ended End(Existing s, InstanceStatus outcome, string result, DateTimeOffset at)
    {
        // A terminal instance is never launched again: what only launches need is let go.
        var facts = s.Facts with
        {
            Signal = null,
            Sleeps = ImmutableDictionary<string, DateTimeOffset>.Empty,
            Environment = ImmutableSortedDictionary<string, string>.Empty,
            CustomSignals = s.Facts.CustomSignals.Dropped(),
        };
        return new Ended(facts, outcome, result, at, s.Leaving());
    }
}

/// <summary>Questions to a state that more than one reader asks.</summary>
public static class InstanceStateQueries
{
    /// <summary>The attempt whose process is to end; null when the instance has no container.</summary>
    public static Attempt? Leaving(this InstanceState.Live live) =>
        live.Facts.Image is null || live.HasExited ? null : live.Facts.Attempt;

    /// <inheritdoc cref="Leaving(InstanceState.Live)" />
    public static Attempt? Leaving(this InstanceState.Existing state) => state switch
    {
        InstanceState.Live live => live.Leaving(),
        InstanceState.Suspended suspended => suspended.Leaving,
        InstanceState.Ended ended => ended.Leaving,
        _ => null,
    };

    /// <summary>The word of the wire for a status.</summary>
    public static string Word(this InstanceStatus status) => status.ToString().ToLowerInvariant();

    /// <summary>Whether nothing can happen to the instance without a message: it need not be in memory.</summary>
    public static bool CanRest(this InstanceState state) => state switch
    {
        InstanceState.Absent => true,
        InstanceState.Suspended s => s.Leaving is null,
        InstanceState.Ended e => e.Leaving is null,
        _ => false,
    };
}
