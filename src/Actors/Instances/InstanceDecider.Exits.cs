using System.Text;
using Runtara.Actors.Runners;
using static Runtara.Actors.Instances.InstanceCommand;
using static Runtara.Actors.Instances.InstanceEvent;
using static Runtara.Actors.Instances.InstanceState;

namespace Runtara.Actors.Instances;

// What follows the end of an attempt, and what follows the passing of time.
public sealed partial class InstanceDecider
{
    private static AttemptExited Exit(ProcessExited c, DateTimeOffset now) => new(
        c.Attempt, c.Report.ExitCode, c.Report.Signal, c.Report.OutOfMemory, c.Report.StderrTail,
        c.Report.MemoryPeakBytes, c.Report.CpuMicroseconds, now);

    /// <summary>
    /// The result rule: an order to stop, then output.json, then the exit code (semantics, row "Result").
    /// </summary>
    private InstanceEvent AfterExit(Live s, ProcessExited c, DateTimeOffset now)
    {
        var output = c.Report.Output;
        if (output is { Status: RunOutputStatus.Completed or RunOutputStatus.Failed })
            return FromOutput(s, output, now);
        if (Ordered(s, now) is { } ordered)
            return ordered;
        if (output is not null)
            return FromOutput(s, output, now);
        return c.Report.ExitCode == 0
            ? new Failed("exited without reporting a result", now)
            : Crash(s, Describe(c.Report), now);
    }

    /// <summary>What the end of an attempt means when a caller or the clock had asked for it; else null.</summary>
    private InstanceEvent? Ordered(Live s, DateTimeOffset now) => s switch
    {
        { Stop.Reason: StopReason.Cancel } => new Cancelled(null, now),
        // Before the signal: the one that waits is its own.
        { Stop.Reason: StopReason.Timeout } => TimedOut(s, now),
        { Facts.Signal: { Kind: SignalKind.Cancel } cancel } => new Cancelled(Reason(cancel), now),
        { Stop.Reason: StopReason.Stale } => Crash(s, StaleText(s), now),
        _ => null,
    };

    private InstanceEvent FromOutput(Live s, RunOutput output, DateTimeOffset now) => output.Status switch
    {
        RunOutputStatus.Completed => Complete(output.Result, now),
        RunOutputStatus.Failed => new Failed(output.Error ?? "Unknown error", now),
        RunOutputStatus.Suspended => new Paused(s.Facts.Attempt, now) { CheckpointId = output.CheckpointId },
        RunOutputStatus.Cancelled => new Cancelled(null, now),
        RunOutputStatus.Sleeping when output is { WakeAfter: { } wakeAfter, CheckpointId: { } key } =>
            HasRoomToSleep(s.Facts, key)
                ? new Hibernated(s.Facts.Attempt, key, Later(now, Shorter(wakeAfter, settings.SleepMax)), now)
                : new Failed(TooManySleeps(s.Facts), now),
        _ => new Failed("Invalid sleep output", now),
    };

    private static TimeSpan Shorter(TimeSpan a, TimeSpan b) => a < b ? a : b;

    /// <summary>
    /// An attempt of which there is nothing to tell. When that ends the instance, no process is left to wait for.
    /// </summary>
    private static Decision Lose(Live s, InstanceEvent after) =>
        after is Failed or Cancelled ? Report(Gone(s.Facts.Attempt, after.At), after) : Report(after);

    private static AttemptExited Gone(Attempt attempt, DateTimeOffset now) =>
        new(attempt, null, null, false, "", null, null, now);

    private static AttemptLost Lost(Live s, AttemptVanished c, DateTimeOffset now) =>
        new(c.Attempt, c.Reason, now) { RetryCount = RetryCountAnew(s.Facts) };

    // A new checkpoint resets the count; that of an attempt that crashed is in its crash.
    private static int? RetryCountAnew(InstanceFacts f) => f is { Progressed: true, RetryCount: > 1 } ? 1 : null;

    private InstanceEvent Crash(Live s, string what, DateTimeOffset now)
    {
        var f = s.Facts;
        var crashes = f.Progressed ? 0 : f.CrashesInARow + 1;
        if (crashes >= f.MaxAttempts)
            return new Failed($"{what} (attempt {crashes} of {f.MaxAttempts} in a row without a new checkpoint)", now);
        var retryCount = Math.Min(f.Progressed ? 2 : f.RetryCount + 1, f.MaxAttempts);
        var doublings = Math.Clamp(crashes - 1, 0, 30);
        var pause = settings.BackoffMin.Ticks > settings.BackoffMax.Ticks >> doublings
            ? settings.BackoffMax
            : TimeSpan.FromTicks(settings.BackoffMin.Ticks << doublings);
        return new AttemptCrashed(f.Attempt, what, retryCount, crashes, now + pause * Jitter(f), now);
    }

    private static string Describe(ExitReport report)
    {
        var how = report switch
        {
            { OutOfMemory: true } => "out of memory",
            { Signal: { } signal } => $"killed by signal {signal}",
            _ => $"exited with code {report.ExitCode}",
        };
        return report.StderrTail.Length == 0 ? how : $"{how}; the last of its stderr:\n{report.StderrTail}";
    }

    private static Failed TimedOut(Live s, DateTimeOffset now) => new(TimeoutText(s), now);

    private static string TimeoutText(Live s) => $"Execution timeout after {s.Facts.Timeout.TotalSeconds:0} s";

    // The reference's words, with our limit.
    private string StaleText(Live s) =>
        $"Instance stale: no activity since {s.Presence.SeenAt.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC "
        + $"(timeout: {settings.StaleAfter.TotalSeconds:0}s)";

    private Decision PassTime(Existing state, DateTimeOffset now) => state switch
    {
        Pending s when now >= s.NotBefore =>
            Perform(new RunnerCommand.RequestSlot(s.Facts.Id, s.Facts.Attempt.Next(), s.Facts.Tenant)),
        Live { Stop: { } stop } s
            when s.Leaving() is { } attempt && now >= stop.At + stop.Grace + settings.LeaveWithin =>
            Perform(new RunnerCommand.Stop(s.Facts.Id, attempt, TimeSpan.Zero)),
        Live { Stop: { } stop } s when s.Leaving() is null && now >= stop.At + stop.Grace =>
            Report(new Cancelled(null, now)),
        Live { Stop: not null } => Decision.Nothing,
        Live { Presence.StartedAt: not null } s when TimeoutAt(s) <= now => TimeOut(s, now),
        Running s when now >= StaleAt(s) => s.Leaving() is null
            ? Report(new Failed(StaleText(s), now))
            : Order(s, StopReason.Stale, null, TimeSpan.Zero, now),
        Running s when HibernateAt(s) is { } at && now >= at => Hibernate(s, now),
        // Its program has not started, as far as is known: the runner says when it has, or that there is none.
        Live s when s.Leaving() is { } attempt && TimeoutAt(s) <= now => Perform(Watch(s, attempt)),
        Suspended { Leaving: { } attempt } s when now >= s.Since + settings.LeaveWithin =>
            Perform(new RunnerCommand.Stop(s.Facts.Id, attempt, TimeSpan.Zero)),
        Ended { Leaving: { } attempt } s when now >= s.Since + settings.LeaveWithin =>
            Perform(new RunnerCommand.Stop(s.Facts.Id, attempt, TimeSpan.Zero)),
        _ => Decision.Nothing,
    };

    // A stop like any other, with the signal to the workflow; and a caller's when a caller has sent that signal before.
    private Decision TimeOut(Live s, DateTimeOffset now)
    {
        if (s.Facts.Signal is { Kind: SignalKind.Cancel } cancel)
            return Order(s, StopReason.Cancel, Reason(cancel), settings.StopGrace, now);
        var signal = new SignalSent(SignalKind.Cancel, now) { Payload = Encoding.UTF8.GetBytes(TimeoutText(s)) };
        var order = Order(s, StopReason.Timeout, null, settings.StopGrace, now);
        return order with { Events = [signal, .. order.Events] };
    }

    private static Decision Order(
        Live s, StopReason reason, string? detail, TimeSpan grace, DateTimeOffset now) => new(
        null,
        [new StopRequested(s.Facts.Attempt, reason, detail, grace, now)],
        [new RunnerCommand.Stop(s.Facts.Id, s.Facts.Attempt, grace)]);

    private static Decision Hibernate(Running s, DateTimeOffset now)
    {
        var (key, wakeAt) = s.Presence.Waiting.MinBy(sleep => sleep.Value);
        InstanceEvent rest = s.Facts.Signal is { Kind: SignalKind.Cancel } cancel
            ? new Cancelled(Reason(cancel), now)
            : new Hibernated(s.Facts.Attempt, key, wakeAt, now);
        return new Decision(null, [rest], [new RunnerCommand.Stop(s.Facts.Id, s.Facts.Attempt, TimeSpan.Zero)]);
    }

    // A sleep whose reply is held is a reason for silence.
    private DateTimeOffset StaleAt(Running s)
    {
        var heldUntil = s.Presence.Waiting.Values.DefaultIfEmpty(s.Presence.SeenAt).Max();
        var quietSince = heldUntil > s.Presence.SeenAt ? heldUntil : s.Presence.SeenAt;
        return quietSince > DateTimeOffset.MaxValue - settings.StaleAfter
            ? DateTimeOffset.MaxValue
            : quietSince + settings.StaleAfter;
    }

    /// <summary>When the container is to be given up for the sleep it waits in; null when it is not.</summary>
    private DateTimeOffset? HibernateAt(Running s)
    {
        var waiting = s.Presence.Waiting;
        if (s.Leaving() is null || waiting.IsEmpty || waiting.ContainsKey(""))
            return null;
        return waiting.Values.Min() - s.Presence.IdleSince > settings.HibernateAfter
            ? s.Presence.IdleSince + settings.HibernateIdle
            : null;
    }

    // Who waits for a slot is in the runner's queue, perhaps with thousands, and asks again only in case the runner has
    // lost it.
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(10);

    /// <summary>
    /// When a <see cref="Tick"/> is due; null when time alone changes nothing. <paramref name="slotAskedAt"/> is when
    /// this life of the instance last asked for a slot.
    /// </summary>
    public DateTimeOffset? NextDeadline(InstanceState state, DateTimeOffset slotAskedAt = default) => state switch
    {
        Pending s => s.NotBefore <= slotAskedAt ? slotAskedAt + AskAgain : s.NotBefore,
        Live { Stop: { } stop } s when s.Leaving() is null => stop.At + stop.Grace,
        Live { Stop: { } stop } => stop.At + stop.Grace + settings.LeaveWithin,
        Running s => Earliest(StaleAt(s), Earliest(TimeoutAt(s), HibernateAt(s))),
        Live s => TimeoutAt(s),
        Suspended { Leaving: not null } s => s.Since + settings.LeaveWithin,
        Ended { Leaving: not null } s => s.Since + settings.LeaveWithin,
        _ => null,
    };

    private static DateTimeOffset? TimeoutAt(Live s) =>
        s.Leaving() is null ? null : (s.Presence.StartedAt ?? s.Since) + s.Facts.Timeout;

    private static DateTimeOffset? Earliest(DateTimeOffset? a, DateTimeOffset? b) =>
        a is null ? b : b is null || a < b ? a : b;

    /// <summary>
    /// The state after hearing from the workflow, before the decision: a heartbeat keeps alive, every other request of
    /// the live attempt also ends its idleness, and a sleep is remembered for as long as it is waited in. The runner
    /// says when the program was started.
    /// </summary>
    public InstanceState Hear(InstanceState state, InstanceCommand command, DateTimeOffset now)
    {
        if (state is not Live live)
            return state;
        var presence = command switch
        {
            Heartbeat c when !IsStale(live, c.From) => live.Presence with { SeenAt = now, HeartbeatAt = now },
            ContainerStarted c when c.Attempt == live.Facts.Attempt => live.Presence with { StartedAt = c.At },
            Sleep c when !IsStale(live, c.From) && HasRoomToSleep(live.Facts, c.CheckpointId) => Waits(live, c, now),
            Sleep c when !IsStale(live, c.From) => Awake(live.Presence, now),
            SaveCheckpoint c when !IsStale(live, c.From) => Awake(live.Presence, now),
            LookUpCheckpoint c when !IsStale(live, c.From) => Awake(live.Presence, now),
            Register c when !IsStale(live, c.From) => Awake(live.Presence, now),
            ReportCustom c when !IsStale(live, c.From) => Awake(live.Presence, now),
            RecordRetry c when !IsStale(live, c.From) => Awake(live.Presence, now),
            PollSignals c when !IsStale(live, c.From) => Awake(live.Presence, now),
            AcknowledgeSignal c when !IsStale(live, c.From) => Awake(live.Presence, now),
            _ => live.Presence,
        };
        return ReferenceEquals(presence, live.Presence) ? state : live with { Presence = presence };
    }

    private static Presence Waits(Live live, Sleep c, DateTimeOffset now)
    {
        var wakeAt = live.Facts.Sleeps.TryGetValue(c.CheckpointId, out var known) ? known : Later(now, c.Duration);
        var waiting = live.Presence.Waiting.RemoveRange(Over(live, now)).Remove(c.CheckpointId);
        return Awake(live.Presence, now) with
        {
            Waiting = wakeAt > now ? waiting.Add(c.CheckpointId, wakeAt) : waiting,
        };
    }

    private static IEnumerable<string> Over(Live live, DateTimeOffset now) =>
        live.Presence.Waiting.Where(sleep => sleep.Value <= now).Select(sleep => sleep.Key);

    private static Presence Awake(Presence presence, DateTimeOffset now) =>
        presence with { SeenAt = now, IdleSince = now };

    /// <summary>
    /// What should be going on, asked once after recovery; every effect is harmless when it is already so. This is
    /// where a crash of the daemon is mended.
    /// </summary>
    public IReadOnlyList<RunnerCommand> EffectsOnRecovery(InstanceState state, DateTimeOffset now) => state switch
    {
        Pending s when now >= s.NotBefore =>
            [new RunnerCommand.RequestSlot(s.Facts.Id, s.Facts.Attempt.Next(), s.Facts.Tenant)],
        Live s when s.Leaving() is { } attempt =>
            [Watch(s, attempt), .. StopAgain(s, attempt, now)],
        Suspended { Leaving: { } attempt } s => [Watch(s, attempt)],
        Ended { Leaving: { } attempt } s => [Watch(s, attempt)],
        _ => [],
    };

    private static RunnerCommand[] StopAgain(Live s, Attempt attempt, DateTimeOffset now)
    {
        if (s.Stop is not { } stop)
            return [];
        var left = stop.At + stop.Grace - now;
        return [new RunnerCommand.Stop(s.Facts.Id, attempt, left > TimeSpan.Zero ? left : TimeSpan.Zero)];
    }
}
