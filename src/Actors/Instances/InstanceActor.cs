using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Event;
using Akka.Persistence;
using Runtara.Actors.Runners;
using Runtara.Actors.Wakes;

namespace Runtara.Actors.Instances;

/// <summary>
/// The shell of one instance: decide, persist, then reply and perform. It never decides itself. A caller hears of a
/// decision, and its effects run, only once every event is in the journal.
/// </summary>
public sealed class InstanceActor : UntypedPersistentActor, IWithTimers
{
    private readonly InstanceSurroundings _with;
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private InstanceState _state = new InstanceState.Absent();
    private DateTimeOffset _tickAt = DateTimeOffset.MaxValue, _slotAskedAt, _lastEventAt;
    private long _snapshotNr;

    /// <summary>Made by the shard; <paramref name="id"/> is the instance's id and its persistence id.</summary>
    public InstanceActor(string id, InstanceSurroundings with)
    {
        PersistenceId = id;
        _with = with;
    }

    /// <inheritdoc />
    public override string PersistenceId { get; }

    /// <inheritdoc />
    public ITimerScheduler Timers { get; set; } = null!;

    /// <inheritdoc />
    public override Recovery Recovery => _with.SnapshotEvery > 0 ? base.Recovery : new(SnapshotSelectionCriteria.None);

    private InstanceId Id => new(PersistenceId);

    /// <inheritdoc />
    protected override void OnRecover(object message)
    {
        switch (message)
        {
            case SnapshotOffer { Snapshot: InstanceSnapshot snapshot }:
                (_state, _lastEventAt, _snapshotNr) = (snapshot.State, snapshot.At, LastSequenceNr);
                break;
            case InstanceEvent happened: Apply(happened); break;
            case RecoveryCompleted: Resume(); break;
        }
    }

    private void Apply(InstanceEvent happened) => (_state, _lastEventAt) = (_state.Apply(happened), happened.At);

    private void Resume()
    {
        var now = _with.Time.GetUtcNow();
        // Silence before the recovery was ours, not the workflow's.
        if (_state is InstanceState.Live live)
            _state = live with { Presence = live.Presence with { SeenAt = now, IdleSince = now } };
        Perform(_with.Decider.EffectsOnRecovery(_state, now), now);
        SaveSnapshotWhenDue();
        // One at rest was brought up by a command, which is next; to rest before it would be to recover twice.
        if (!_state.CanRest())
            ArmTick(now, TickMin);
    }

    /// <inheritdoc />
    protected override void OnCommand(object message)
    {
        switch (message)
        {
            case InstanceCommand command:
                var now = _with.Time.GetUtcNow();
                _state = _with.Decider.Hear(_state, command, now);
                if (command is InstanceCommand.Tick)
                    _tickAt = DateTimeOffset.MaxValue;
                Commit(
                    _with.Decider.Decide(_state, command, now), command is InstanceCommand.Tick ? AfterTick : TickMin);
                break;
            case SaveSnapshotSuccess or SaveSnapshotFailure: break; // The store has logged what went wrong.
            case Rest: Context.Stop(Self); break;
            default: Unhandled(message); break;
        }
    }

    private void Commit(Decision decision, TimeSpan tickNotBefore)
    {
        var (replyTo, missing) = (Sender, decision.Events.Count);
        if (decision.Fault is { } fault)
            _log.Error(fault, "instance {InstanceId} met a fault in its decision", PersistenceId);
        if (missing == 0)
            Finish();
        else
            PersistAll(decision.Events, happened =>
            {
                Apply(happened);
                if (--missing == 0)
                    Finish();
            });

        void Finish()
        {
            if (decision.Reply is not null)
                replyTo.Tell(decision.Reply);
            var now = _with.Time.GetUtcNow();
            Perform(decision.Effects, now);
            if (decision.Events.Count > 0 && _state is InstanceState.Suspended { WakeAt: { } wakeAt })
                ClusterSharding.Get(Context.System).ShardRegion(InstanceHosting.Region)
                    .Tell(new WakerMessage.Expect(InstanceShard.Of(Id), Id, wakeAt));
            SaveSnapshotWhenDue();
            ArmTick(now, tickNotBefore);
        }
    }

    private void Perform(IReadOnlyList<RunnerCommand> effects, DateTimeOffset now)
    {
        foreach (var effect in effects)
        {
            if (effect is RunnerCommand.RequestSlot)
                _slotAskedAt = now;
            _with.Runner.Tell(effect);
        }
    }

    // Between two decisions, so every event that the state is made of is in the journal.
    private void SaveSnapshotWhenDue()
    {
        if (!InstanceSnapshot.IsDue(_state, LastSequenceNr - _snapshotNr, _with.SnapshotEvery))
            return;
        _snapshotNr = LastSequenceNr;
        SaveSnapshot(new InstanceSnapshot(_state, _lastEventAt));
    }

    // One timer for all that time can do to an instance. It may ring early, never late: a deadline that moved away is
    // found by the tick, so a busy instance does not re-arm it for each request.
    private void ArmTick(DateTimeOffset now, TimeSpan notBefore)
    {
        if (_state.CanRest())
        {
            Timers.CancelAll();
            Context.Parent.Tell(new Passivate(Rest.Instance));
            return;
        }
        if (_with.Decider.NextDeadline(_state, _slotAskedAt) is not { } deadline || deadline >= _tickAt)
            return;
        var wait = deadline - now;
        wait = wait < notBefore ? notBefore : wait > TickMax ? TickMax : wait;
        _tickAt = now + wait;
        Timers.StartSingleTimer(nameof(InstanceCommand.Tick), new InstanceCommand.Tick(Id), wait);
    }

    // A deadline that has passed and still waits for an exit is looked at again each second.
    private static readonly TimeSpan AfterTick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan TickMin = TimeSpan.FromMilliseconds(10), TickMax = TimeSpan.FromHours(1);

    /// <inheritdoc />
    protected override void OnPersistFailure(Exception cause, object @event, long sequenceNr)
    {
        // The base class stops us; whoever asked asks again, and the next life reads what the journal really has.
        // A line without a stack: an outage that lasts too long fails the write of every instance at once.
        _log.Warning(
            "instance {InstanceId} could not save {Event}: {Cause}", PersistenceId, @event.GetType().Name,
            cause.Message);
    }

    /// <inheritdoc />
    protected override void OnPersistRejected(Exception cause, object @event, long sequenceNr)
    {
        // Akka keeps a persistent actor running after a rejected write; ours must not answer from unsaved state.
        _log.Error(cause, "the journal refused {Event} of instance {InstanceId}", @event.GetType().Name, PersistenceId);
        Context.Stop(Self);
    }

    /// <summary>Sent to ourselves through the shard, so that commands under way are kept and not lost.</summary>
    private sealed class Rest
    {
        public static readonly Rest Instance = new();
    }
}
