using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Runtara.Actors.Runners;
using static Runtara.Actors.Instances.InstanceCommand;
using static Runtara.Actors.Instances.InstanceEvent;
using static Runtara.Actors.Instances.InstanceReply;
using static Runtara.Actors.Instances.InstanceState;

namespace Runtara.Actors.Instances;

/// <summary>
/// What an instance does about a command: the semantics, without clock, chance or I/O. The same command twice gives
/// the same answer and no second event.
/// </summary>
public sealed partial class InstanceDecider(InstanceSettings settings)
{
    /// <summary>Decides; <paramref name="state"/> is unchanged until the decision's events are applied.</summary>
    public Decision Decide(InstanceState state, InstanceCommand command, DateTimeOffset now)
    {
        try
        {
            return Find(state, command, now);
        }
        catch (Exception fault)
        {
            return AfterFault(state, command, fault, now);
        }
    }

    private Decision Find(InstanceState state, InstanceCommand command, DateTimeOffset now) => command switch
    {
        Start or GetPresence or Register => OfBeginning(state, command, now),
        StopInstance or ResumeInstance or SendSignal or SendCustomSignal => OfCaller(state, command, now),
        PollSignals or AcknowledgeSignal => OfSignals(state, command, now),
        SlotGranted or ContainerStarted or LaunchFailed => OfRunner(state, command, now),
        ProcessExited or AttemptVanished or ContainerFound => OfRunner(state, command, now),
        Wake or Tick or Ensure => OfTime(state, command, now),
        _ => OfWorkflow(state, command, now),
    };

    private Decision OfBeginning(InstanceState state, InstanceCommand command, DateTimeOffset now) =>
        (state, command) switch
        {
            (Absent, Start c) => Begin(c, now),
            (Existing s, Start c) => BeginAgain(s, c),
            (_, GetPresence) => Answer(new LastHeard((state as Live)?.Presence.HeartbeatAt)),

            (Absent, Register c) => RegisterUnknown(c, now),
            (Existing s, Register c) when c.Tenant != s.Facts.Tenant => Missing(c),
            (Ended s, Register c) => Refuse(Refusal.Terminal, AlreadyEnded(s)),
            (Existing s, Register { CheckpointId: { } key }) when !Knows(s, key) => UnknownCheckpoint(key),
            (Live s, Register c) when IsStale(s, c.From) => RefuseState(s),
            (Running s, Register) => Answer(new Registered(s.Facts.Attempt)),
            (Launching s, Register c) => Admit(s, c, now),
            (Suspended { Facts.Image: null } s, Register c) when (c.From ?? Attempt.None) == Attempt.None =>
                Admit(s, c, now),
            (Existing s, Register) => RefuseState(s),
            _ => throw Impossible(state, command),
        };

    private Decision OfWorkflow(InstanceState state, InstanceCommand command, DateTimeOffset now) =>
        (state, command) switch
        {
            (Absent, SaveCheckpoint or LookUpCheckpoint or Sleep or Heartbeat) => Missing(command),
            (Absent, ReportCompleted or ReportFailed or ReportSuspended or ReportCustom) => Missing(command),
            (Live s, SaveCheckpoint c) when !IsStale(s, c.From) => Save(s, c, now),
            (Existing s, SaveCheckpoint) => RefuseState(s),
            (Existing s, LookUpCheckpoint c) => Answer(
                s.Facts.Checkpoints.Contains(c.CheckpointId)
                    ? new CheckpointFound(null, null)
                    : new CheckpointMissing()),
            (Live s, Sleep c) when !IsStale(s, c.From) => FallAsleep(s, c, now),
            (Existing s, Sleep) => RefuseState(s),
            (Existing, Heartbeat) => Done(),

            (Live s, ReportCompleted c) when !IsStale(s, c.From) => Accept(Complete(c.Output, now)),
            (Ended s, ReportCompleted c) => EndAgain(s, InstanceStatus.Completed, Sha256(c.Output)),
            (Live s, ReportFailed c) when !IsStale(s, c.From) => Accept(new Failed(c.Error, now)),
            (Ended s, ReportFailed c) => EndAgain(s, InstanceStatus.Failed, c.Error),
            (Live { Stop.Reason: StopReason.Timeout } s, ReportSuspended c) when !IsStale(s, c.From) => Overdue(s),
            (Live s, ReportSuspended c) when !IsStale(s, c.From) => Accept(StopHere(s, now)),
            (Suspended, ReportSuspended) => Done(),
            (Ended { Outcome: InstanceStatus.Cancelled }, ReportSuspended) => Done(),
            (Existing s, ReportCustom c) when IsRepeated(s, c.Request) => Done(),
            (Live s, ReportCustom c) when !IsStale(s, c.From) => Accept([Custom(c, now), .. Consume(s, now)]),
            (Ended s, ReportSuspended or ReportCustom) => Refuse(Refusal.Terminal, AlreadyEnded(s)),
            (Existing s, ReportCompleted or ReportFailed or ReportSuspended or ReportCustom) => RefuseState(s),
            (Live s, RecordRetry c) when !IsStale(s, c.From) && !IsRepeated(s, c.Request) => Accept(Retry(c, now)),
            (_, RecordRetry) => Done(),
            _ => throw Impossible(state, command),
        };

    private Decision OfRunner(InstanceState state, InstanceCommand command, DateTimeOffset now) =>
        (state, command) switch
        {
            (Pending s, SlotGranted c) when c.Attempt == s.Facts.Attempt.Next() => Launch(s, now),
            (Live s, SlotGranted c) when c.Attempt == s.Facts.Attempt => Decision.Nothing,
            (_, SlotGranted c) => Perform(new RunnerCommand.ReleaseSlot(c.Instance, c.Attempt)),
            (Live s, LaunchFailed c) when c.Attempt == s.Leaving() =>
                Lose(s, Ordered(s, now) ?? Crash(s, $"Launch failed: {c.Error}", now)),
            (Live s, ProcessExited c) when c.Attempt == s.Leaving() =>
                new Decision(null, [Exit(c, now), AfterExit(s, c, now)], [Forget(c)]),
            (Existing s, ProcessExited c) when c.Attempt == s.Leaving() =>
                new Decision(null, [Exit(c, now)], [Forget(c)]),
            (_, ProcessExited c) => Perform(Forget(c)),
            (Live s, AttemptVanished c) when c.Attempt == s.Leaving() =>
                Lose(s, Ordered(s, now) ?? Lost(s, c, now)),
            (Existing s, LaunchFailed c) when c.Attempt == s.Leaving() => Report(Gone(c.Attempt, now)),
            (Existing s, AttemptVanished c) when c.Attempt == s.Leaving() => Report(Gone(c.Attempt, now)),
            (Existing s, ContainerFound c) when c.Attempt == s.Leaving() => Perform(Watch(s, c.Attempt)),
            (_, ContainerFound c) => Perform(new RunnerCommand.Stop(c.Instance, c.Attempt, TimeSpan.Zero)),
            _ => Decision.Nothing,
        };

    private Decision OfTime(InstanceState state, InstanceCommand command, DateTimeOffset now) =>
        (state, command) switch
        {
            (Suspended { WakeAt: { } due } s, Wake) when due <= now + WakeTolerance => WakeUp(s, now),
            (Existing s, Tick or Ensure) => PassTime(s, now),
            _ => Decision.Nothing,
        };

    private static System.Diagnostics.UnreachableException Impossible(InstanceState state, InstanceCommand command) =>
        new($"{command.GetType().Name} in {state.GetType().Name}");

    // Two readings of one clock a few milliseconds apart must not lose a wake until the next scan.
    private static readonly TimeSpan WakeTolerance = TimeSpan.FromMilliseconds(20);

    private Decision Begin(Start c, DateTimeOffset now)
    {
        var started = new Started(
            c.Instance, c.Tenant, c.Image, c.ImageName, c.ImageSha256, Sha256(c.Input), c.Timeout, c.Environment,
            settings.MaxAttempts, now)
        { Input = c.Input };
        return new Decision(
            new Accepted(), [started], [new RunnerCommand.RequestSlot(c.Instance, Attempt.None.Next(), c.Tenant)]);
    }

    private static Decision BeginAgain(Existing s, Start c)
    {
        var same = s.Facts.Image == c.Image && s.Facts.Tenant == c.Tenant && s.Facts.InputSha256 == Sha256(c.Input);
        return same ? Done() : Refuse(Refusal.AlreadyExists, $"Instance '{c.Instance}' already exists");
    }

    private static Decision RegisterUnknown(Register c, DateTimeOffset now) => c.CheckpointId is { } key
        ? UnknownCheckpoint(key)
        : new Decision(
            new Registered(Attempt.None),
            [new SelfRegistered(c.Instance, c.Tenant, now), new AttemptRegistered(Attempt.None, null, now)],
            []);

    private static Decision Admit(Existing s, Register c, DateTimeOffset now) => new(
        new Registered(s.Facts.Attempt), [new AttemptRegistered(s.Facts.Attempt, c.CheckpointId, now)], []);

    private static bool Knows(Existing s, string key) =>
        s.Facts.Checkpoints.Contains(key) || s.Facts.Sleeps.ContainsKey(key) || s.Facts.ResumeFrom == key;

    private Decision Save(Live s, SaveCheckpoint c, DateTimeOffset now)
    {
        var (custom, delivery) = Deliver(s, c.CheckpointId, now);
        if (s.Facts.Checkpoints.Contains(c.CheckpointId))
            return new Decision(new CheckpointFound(s.Facts.Signal, custom), delivery, []);
        if (s.Facts.Checkpoints.Count >= settings.CheckpointsMax)
        {
            return Refuse(
                Refusal.LimitExceeded,
                $"Failed to save checkpoint for instance '{c.Instance}': it has {settings.CheckpointsMax} checkpoints, "
                + "which is the limit (instances.checkpoints-max)");
        }
        var saved = new CheckpointSaved(c.CheckpointId, c.State.Length, now) { State = c.State };
        return new Decision(
            new CheckpointStored(s.Facts.Signal, custom), [saved, .. Consume(s, now), .. delivery], []);
    }

    private Decision FallAsleep(Live s, Sleep c, DateTimeOffset now)
    {
        if (c.CheckpointId.Length == 0)
            return Answer(UntilOrElapsed(Later(now, c.Duration), now));
        if (s.Facts.Sleeps.TryGetValue(c.CheckpointId, out var fixedBefore))
            return Answer(UntilOrElapsed(fixedBefore, now));
        if (!HasRoomToSleep(s.Facts, c.CheckpointId))
            return Refuse(Refusal.LimitExceeded, TooManySleeps(s.Facts));
        var wakeAt = Later(now, c.Duration);
        return new Decision(UntilOrElapsed(wakeAt, now), [new SleepScheduled(c.CheckpointId, wakeAt, now)], []);
    }

    // An elapsed sleep stays known, as a checkpoint does: who runs again asks for it again.
    private bool HasRoomToSleep(InstanceFacts f, string key) =>
        key.Length == 0 || f.Sleeps.ContainsKey(key) || f.Sleeps.Count < settings.SleepsMax;

    private string TooManySleeps(InstanceFacts f) =>
        $"Failed to sleep in instance '{f.Id}': it has {settings.SleepsMax} sleeps, which is the limit "
        + "(instances.sleeps-max)";

    // A sleep for ever ends with time.
    private static DateTimeOffset Later(DateTimeOffset now, TimeSpan time) =>
        time < DateTimeOffset.MaxValue - now ? now + time : DateTimeOffset.MaxValue;

    private static InstanceReply UntilOrElapsed(DateTimeOffset wakeAt, DateTimeOffset now) =>
        wakeAt <= now ? new SleepElapsed() : new SleepUntil(wakeAt);

    private static Completed Complete(ReadOnlyMemory<byte> output, DateTimeOffset now) =>
        new(Sha256(output), now) { Output = output };

    private static Decision EndAgain(Ended s, InstanceStatus outcome, string result) =>
        s.Outcome == outcome && s.Result == result ? Done() : Refuse(Refusal.Terminal, AlreadyEnded(s));

    private static CustomReported Custom(ReportCustom c, DateTimeOffset now) =>
        new(c.Subtype, c.CheckpointId, c.ReportedAt ?? now, now) { Payload = c.Payload, Request = c.Request };

    private static RetryRecorded Retry(RecordRetry c, DateTimeOffset now) =>
        new(c.CheckpointId, c.AttemptNumber, c.ErrorMessage, now) { Request = c.Request };

    private static bool IsRepeated(Existing s, Guid request) =>
        request != Guid.Empty && s.Facts.RecentRequests.Contains(request);

    private static Decision Launch(Pending s, DateTimeOffset now)
    {
        var f = s.Facts;
        var attempt = f.Attempt.Next();
        var launch = new RunnerCommand.Launch(
            f.Id, attempt, f.Tenant, f.Image!.Value, f.ImageSha256, f.Environment, f.ResumeFrom);
        return new Decision(null, [new AttemptLaunched(attempt, f.ResumeFrom, now)], [launch]);
    }

    private static Decision WakeUp(Suspended s, DateTimeOffset now) => new(
        null, [new Woken(false, now) { RetryCount = RetryCountAnew(s.Facts) }], Replace(s));

    // Answers.

    private static Decision Done() => Answer(new Accepted());

    private static Decision Answer(InstanceReply reply) => new(reply, [], []);

    private static Decision Accept(params InstanceEvent[] events) => new(new Accepted(), events, []);

    private static Decision Report(params InstanceEvent[] events) => new(null, events, []);

    private static Decision Perform(params RunnerCommand[] effects) => new(null, [], effects);

    private static RunnerCommand.Watch Watch(Existing s, Attempt attempt) => new(s.Facts.Id, attempt, s.Facts.Tenant);

    private static RunnerCommand.Forget Forget(ProcessExited c) => new(c.Instance, c.Attempt);

    private static Decision Refuse(Refusal reason, string text) => Answer(new Refused(reason, text));

    private static Decision Missing(InstanceCommand c) =>
        Refuse(Refusal.NotFound, $"Instance '{c.Instance}' not found");

    private static Decision UnknownCheckpoint(string key) =>
        Refuse(Refusal.NotFound, $"Checkpoint '{key}' not found");

    private static Decision RefuseState(Existing s) => Refuse(
        Refusal.InvalidState,
        s is Live
            ? $"Instance '{s.Facts.Id}' is in invalid state: the request is of an attempt before {s.Facts.Attempt}"
            : $"Instance '{s.Facts.Id}' is in invalid state: expected 'running', got '{s.Status.Word()}'");

    // What stops because its time is over cannot pause: only a result saves it.
    private static Decision Overdue(Live s) => Refuse(
        Refusal.InvalidState,
        $"Instance '{s.Facts.Id}' is in invalid state: attempt {s.Facts.Attempt} ran longer than its timeout and is "
        + "being stopped");

    private static string AlreadyEnded(Ended s) => $"Instance '{s.Facts.Id}' is already {s.Status.Word()}";

    private static bool IsStale(Live s, Attempt? from) => from is { } attempt && attempt != s.Facts.Attempt;

    private static string Sha256(ReadOnlyMemory<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes.Span));

    /// <summary>A fixed share of ±20 % for an attempt, so that a decision taken again is the same.</summary>
    private static double Jitter(InstanceFacts f)
    {
        var hash = XxHash32.HashToUInt32(MemoryMarshal.AsBytes(f.Id.Value.AsSpan()), f.Attempt.Number);
        return 0.8 + 0.4 * hash / uint.MaxValue;
    }
}
