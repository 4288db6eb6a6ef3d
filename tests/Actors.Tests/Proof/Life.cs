using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Actors.Tests.Instances;
using static Runtara.Actors.Tests.Instances.Machine;

namespace Runtara.Actors.Tests.Proof;

/// <summary>Lives a life and asks the oracle about every answer. Throws at the first broken promise.</summary>
internal sealed class Life
{
    private static readonly string[] Keys = ["a", "b", "c", ""];
    private static readonly int[] Seconds = [0, 1, 30, 3600];
    private static readonly Guid[] Requests = [.. Enumerable.Range(1, 6).Select(n => new Guid(n, 0, 0, new byte[8]))];

    private readonly Machine _machine = new();
    private readonly Oracle _oracle = new();
    private readonly Containers _containers = new();
    private readonly Dictionary<Attempt, DateTimeOffset> _started = [];

    /// <summary>
    /// Answers what was journaled. <paramref name="kept"/> is what memory makes of the state after each step.
    /// </summary>
    internal static IReadOnlyList<InstanceEvent> Live(Step[] steps, Func<InstanceState, InstanceState>? kept = null)
    {
        var life = new Life();
        foreach (var step in steps)
        {
            life.Take(step);
            if (kept is not null)
                life._machine.Keep(kept);
        }
        life.Nothing_is_stuck();
        return life._machine.Journal;
    }

    private InstanceState State => _machine.State;

    private void Take(Step step)
    {
        switch (step.Act)
        {
            case Act.Recover: What_was_answered_is_durable(); break;
            case Act.Pass: Pass(TimeSpan.FromSeconds(Seconds[step.Number])); break;
            case Act.Ensure: Time(new InstanceCommand.Ensure(Id)); break;
            case Act.Wake: Do(new InstanceCommand.Wake(Id)); break;
            case <= Act.SendCustom: Call(step); break;
            case <= Act.Acknowledge: Work(step); break;
            default: Runner(step); break;
        }
        _oracle.Terminal_is_final(State);
        Something_is_waited_for();
    }

    // As the actor's timer: a tick at each deadline, and at once for one that had passed before.
    private void Pass(TimeSpan time)
    {
        var until = _machine.Now + time;
        Time(new InstanceCommand.Tick(Id));
        while (_machine.Deadline is { } deadline && deadline <= until && deadline > _machine.Now)
        {
            _machine.After(deadline - _machine.Now);
            Time(new InstanceCommand.Tick(Id));
        }
        _machine.After(until - _machine.Now);
        Time(new InstanceCommand.Tick(Id));
    }

    private void Time(InstanceCommand command)
    {
        Do(command);
        Starts(_machine.Last.Effects);
    }

    /// <summary>The runner says when a program was started, at the launch and to who asks.</summary>
    private void Starts(IReadOnlyList<RunnerCommand> effects)
    {
        foreach (var attempt in effects.Where(e => e is RunnerCommand.Launch or RunnerCommand.Watch)
            .Select(e => e.Attempt).Where(_containers.Runs))
        {
            if (_started.TryAdd(attempt, _machine.Now) || State is InstanceState.Live { Presence.StartedAt: null })
                Do(new InstanceCommand.ContainerStarted(Id, attempt, _started[attempt]));
        }
    }

    private InstanceReply? Do(InstanceCommand command)
    {
        var before = State;
        _containers.Heard(command);
        var decision = _machine.Do(command);
        _containers.Perform(decision.Effects);
        if (decision.Events.Any(e => e is InstanceEvent.AttemptLaunched))
            _oracle.Launched();
        foreach (var exited in decision.Events.OfType<InstanceEvent.AttemptExited>())
            _containers.Ends_once(exited.Attempt);
        if (decision.Events.OfType<InstanceEvent.Hibernated>().FirstOrDefault() is { } hibernated)
            _oracle.Slept(hibernated.CheckpointId, hibernated.WakeAt);
        if (decision.Events.Any(e => e is InstanceEvent.Paused))
            _oracle.Paused();
        if (decision.Events.Any(e => e is InstanceEvent.Woken { Early: true }))
            _oracle.Resumed(_machine.Now);
        A_stronger_signal_stays(before, command);
        return decision.Reply;
    }

    /// <summary>A caller whose reply was lost asks again: the same answer, and no second event.</summary>
    private InstanceReply? Twice(InstanceCommand command)
    {
        var first = Do(command);
        var again = Do(command);
        Oracle.Holds(_machine.Last.Events.Count == 0, $"{command.GetType().Name} sent again made an event");
        Oracle.Holds(Equals(first, again), $"{command.GetType().Name} sent again was answered {again}, not {first}");
        return first;
    }

    private void Call(Step step)
    {
        var number = step.Number;
        switch (step.Act)
        {
            case Act.Start: Twice(Start()); break;
            case Act.StartOtherwise: Twice(Start("[1]")); break;
            case Act.Stop:
                Twice(new InstanceCommand.StopInstance(Id, TimeSpan.FromSeconds(Seconds[number]), "why"));
                break;
            case Act.Resume: Twice(new InstanceCommand.ResumeInstance(Id)); break;
            case Act.Signal: Twice(new InstanceCommand.SendSignal(Id, (SignalKind)(number % 3), default)); break;
            case Act.SendCustom:
                var request = Requests[number + (State is InstanceState.Live ? 2 : 0)];
                var send = new InstanceCommand.SendCustomSignal(Id, Keys[number % 3], default, request);
                if (Twice(send) is InstanceReply.Accepted)
                    _oracle.Sent(send.Key, request);
                break;
        }
    }

    private void Work(Step step)
    {
        var from = From(step);
        var stale = from is { } attempt && State is InstanceState.Existing { Facts: var f } && attempt != f.Attempt;
        var (before, events) = (Picture.Of(State), _machine.Journal.Count);
        Work(step.Act, Keys[step.Number], step.Number, from);
        if (stale)
            An_older_attempt_changes_nothing(before, events);
    }

    private void Work(Act act, string key, int number, Attempt? from)
    {
        switch (act)
        {
            case Act.Register: Twice(new InstanceCommand.Register(Id, Tenant, null, from)); break;
            case Act.Save:
                _oracle.Checkpoints_are_first_write_wins(
                    key, Do(new InstanceCommand.SaveCheckpoint(Id, key, new byte[] { 1 }, from)));
                break;
            case Act.LookUp:
                _oracle.A_look_up_finds_what_was_stored(
                    key, Do(new InstanceCommand.LookUpCheckpoint(Id, key, from)));
                break;
            case Act.Sleep:
                var duration = TimeSpan.FromSeconds(Seconds[(number + 1) % Seconds.Length]);
                _oracle.A_sleep_keeps_its_wake_time(
                    key, duration, _machine.Now, Do(new InstanceCommand.Sleep(Id, key, duration, from)));
                break;
            case Act.Heartbeat:
                Do(new InstanceCommand.Heartbeat(Id, from));
                Oracle.Holds(_machine.Last.Events.Count == 0, "a heartbeat was journaled");
                break;
            case Act.Complete: Twice(new InstanceCommand.ReportCompleted(Id, new byte[] { 50 }, from)); break;
            case Act.Fail: Twice(new InstanceCommand.ReportFailed(Id, "no", from)); break;
            case Act.Suspend: Twice(new InstanceCommand.ReportSuspended(Id, from)); break;
            case Act.Report: Consumes(new InstanceCommand.ReportCustom(Id, "s", null, default, null, from)); break;
            case Act.Retry: Do(new InstanceCommand.RecordRetry(Id, key, number, null, from)); break;
            case Act.Poll:
                if (Twice(new InstanceCommand.PollSignals(Id, key, from)) is InstanceReply.Signals signals
                    && State is InstanceState.Live live && (from is null || from == live.Facts.Attempt))
                    _oracle.Is_given(key, signals.CustomSignal);
                break;
            case Act.Acknowledge:
                Twice(new InstanceCommand.AcknowledgeSignal(Id, (SignalKind)(number % 3), from));
                break;
        }
    }

    private void Consumes(InstanceCommand command)
    {
        Do(command);
        if (_machine.Last.Events.Count > 0 && State is not InstanceState.Ended)
            _oracle.Progress();
    }

    private void Runner(Step step)
    {
        var attempt = From(step.Sender == Sender.Stale ? step : step with { Sender = Sender.Live }) ?? new Attempt(1);
        var (before, events) = (Picture.Of(State), _machine.Journal.Count);
        var awaited = step.Sender != Sender.Stale || attempt == Leaving;
        var output = new RunOutput((RunOutputStatus)step.Number, new byte[] { 49 }, "no", "a", TimeSpan.FromHours(1));
        Do(step.Act switch
        {
            Act.Grant => new InstanceCommand.SlotGranted(Id, State is InstanceState.Pending ? attempt.Next() : attempt),
            Act.LaunchFails => new InstanceCommand.LaunchFailed(Id, attempt, "no crun"),
            Act.Exit => Exited(attempt, step.Number, null),
            Act.ExitWithOutput => Exited(attempt, 0, output),
            _ => new InstanceCommand.AttemptVanished(Id, attempt, "gone"),
        });
        foreach (var launch in _machine.Last.Effects.OfType<RunnerCommand.Launch>())
            Oracle.Holds(launch.Attempt == _machine.Attempt, "an attempt was launched that is not the live one");
        Starts(_machine.Last.Effects);
        if (!awaited)
            An_older_attempt_changes_nothing(before, events);
    }

    private static InstanceCommand Exited(Attempt attempt, int code, RunOutput? output) =>
        new InstanceCommand.ProcessExited(
            Id, attempt, new ExitReport(code == 3 ? null : code, code == 3 ? 9 : null, false, "", output, 1, 1));

    private Attempt? Leaving => (State as InstanceState.Existing)?.Leaving();

    // Of an attempt before, mostly; one that was never launched is as strange.
    private Attempt? From(Step step) => (step.Sender, State) switch
    {
        (Sender.Unknown, _) => null,
        (Sender.Stale, InstanceState.Existing { Facts.Attempt.Number: > 0 and var live }) when step.Number != 0 =>
            new Attempt(live - 1),
        (Sender.Stale, InstanceState.Existing s) => new Attempt(s.Facts.Attempt.Number + 7),
        (_, InstanceState.Existing s) => s.Facts.Attempt,
        _ => null,
    };

    /// <summary>Promise 1: another life of the actor knows what this one answered.</summary>
    private void What_was_answered_is_durable()
    {
        var before = Picture.Of(State);
        var effects = _machine.Recover();
        _containers.Perform(effects);
        Oracle.Holds(before == Picture.Of(State), $"the journal tells another story: {before} | {Picture.Of(State)}");
        Starts(effects);
    }

    /// <summary>Promise 2, in every state: time, a process, a slot or a caller moves it on.</summary>
    private void Something_is_waited_for()
    {
        var waits = State is InstanceState.Suspended or InstanceState.Ended or InstanceState.Absent
            ? State.CanRest() || _machine.Deadline is not null
            : _machine.Deadline is not null;
        Oracle.Holds(waits, $"{State.GetType().Name} waits for nothing");
    }

    /// <summary>Promise 2, in the end: with a runner that tells the truth, it ends or is paused.</summary>
    private void Nothing_is_stuck()
    {
        for (var turn = 0; turn < 40; turn++)
        {
            if (State is InstanceState.Absent or InstanceState.Ended or InstanceState.Suspended { WakeAt: null })
            {
                Pass(TimeSpan.FromHours(2));
                _containers.Nothing_runs_on();
                return;
            }
            Pass(TimeSpan.FromHours(2));
            if (State is InstanceState.Suspended { WakeAt: not null })
                Do(new InstanceCommand.Wake(Id));
            else if (State is InstanceState.Pending)
            {
                _containers.A_slot_was_asked_for(_machine.Attempt.Next());
                Time(new InstanceCommand.SlotGranted(Id, _machine.Attempt.Next()));
            }
            else if (State is InstanceState.Live live && live.Leaving() is { } attempt)
                Do(Exited(attempt, 1, null));
        }
        Oracle.Holds(false, $"{State.GetType().Name} never ends");
    }

    /// <summary>Promise 3.</summary>
    private void An_older_attempt_changes_nothing(string before, int events) => Oracle.Holds(
        _machine.Journal.Count == events && Picture.Of(State) == before,
        "a request of another attempt changed something");

    private void A_stronger_signal_stays(InstanceState before, InstanceCommand command)
    {
        if (before is not InstanceState.Live { Facts.Signal: { } was } || State is not InstanceState.Live now)
            return;
        var acknowledged = command is InstanceCommand.AcknowledgeSignal ack && ack.Kind == was.Kind;
        Oracle.Holds(
            acknowledged || (now.Facts.Signal is { } kept && kept.Kind <= was.Kind), "a weaker signal took the place");
    }
}

/// <summary>All of a state but what only memory knows, as text.</summary>
internal static class Picture
{
    internal static string Of(InstanceState state)
    {
        if (state is not InstanceState.Existing { Facts: var f })
            return state.GetType().Name;
        var phase = state switch
        {
            InstanceState.Pending p => $"{p.NotBefore:O} {p.Resumed}",
            InstanceState.Live l => $"{l.Since:O} {l.Stop}",
            InstanceState.Suspended s => $"{s.WakeAt:O} {s.Since:O} {s.Leaving}",
            InstanceState.Ended e => $"{e.Outcome} {e.Result} {e.Since:O} {e.Leaving}",
            _ => "",
        };
        string[] signals = [.. new[] { "a", "b", "c" }.Select(
            key => $"{key}:{f.CustomSignals.Count(key)}/{f.CustomSignals.Oldest(key)}")];
        return string.Join(
            ' ', state.GetType().Name, phase, f.Attempt, f.RetryCount, f.CrashesInARow, f.Progressed, f.ResumeFrom,
            f.Signal?.Kind, string.Join(',', f.Checkpoints.Order()),
            string.Join(',', f.Sleeps.OrderBy(s => s.Key).Select(s => $"{s.Key}={s.Value:O}")),
            string.Join(',', signals), string.Join(',', f.CustomSignals.Delivered.Order()));
    }
}
