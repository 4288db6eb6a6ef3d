using System.Text;
using Runtara.Actors.Runners;
using static Runtara.Actors.Instances.InstanceCommand;
using static Runtara.Actors.Instances.InstanceEvent;
using static Runtara.Actors.Instances.InstanceReply;
using static Runtara.Actors.Instances.InstanceState;

namespace Runtara.Actors.Instances;

// What callers want of an instance that exists, and how it reaches the workflow.
public sealed partial class InstanceDecider
{
    private Decision OfCaller(InstanceState state, InstanceCommand command, DateTimeOffset now) =>
        (state, command) switch
        {
            (Absent, _) => Missing(command),

            (Pending s, StopInstance c) => Cancel(s, c.Reason, now),
            (Suspended s, StopInstance c) => Cancel(s, c.Reason, now),
            (Live { Stop.Reason: StopReason.Cancel }, StopInstance) => Done(),
            (Live s, StopInstance c) => StopLive(s, c, now),
            (Ended { Outcome: InstanceStatus.Cancelled }, StopInstance) => Done(),
            (Ended s, StopInstance) => Refuse(Refusal.Terminal, AlreadyEnded(s)),

            (Suspended s, ResumeInstance) => Resume(s, now),
            (Pending { Resumed: true }, ResumeInstance) => Done(),
            (Existing s, ResumeInstance) => Refuse(
                Refusal.InvalidState, $"Cannot resume instance in '{s.Status.Word()}' state (must be suspended)"),

            (Ended { Outcome: InstanceStatus.Cancelled }, SendSignal { Kind: SignalKind.Cancel }) => Done(),
            (Ended s, SendSignal or SendCustomSignal) => Refuse(
                Refusal.Terminal, $"Cannot send signal to instance in '{s.Status.Word()}' state (terminal state)"),
            (Pending or Suspended, SendSignal { Kind: SignalKind.Cancel } c) =>
                Cancel((Existing)state, Words(c.Payload), now),
            (Suspended { WakeAt: null }, SendSignal { Kind: SignalKind.Pause }) => Done(),
            (Suspended { Facts.Image: not null } s, SendSignal { Kind: SignalKind.Resume }) => Resume(s, now),
            (Pending { Resumed: true }, SendSignal { Kind: SignalKind.Resume }) => Done(),
            (Existing s, SendSignal c) => Signal(s, c, now),
            (Existing s, SendCustomSignal c) => Enqueue(s, c, now),
            _ => throw Impossible(state, command),
        };

    private static Decision OfSignals(InstanceState state, InstanceCommand command, DateTimeOffset now) =>
        (state, command) switch
        {
            (Live s, PollSignals c) when !IsStale(s, c.From) => Poll(s, c, now),
            (Suspended { Facts.Image: null } s, PollSignals) => Answer(new Signals(s.Facts.Signal, null)),
            (_, PollSignals) => Answer(new Signals(null, null)),
            (Existing { Facts.Signal: { } waiting } s, AcknowledgeSignal c)
                when waiting.Kind == c.Kind && (c.From is null || c.From == s.Facts.Attempt) =>
                Acknowledge(s, c.Kind, now),
            (_, AcknowledgeSignal) => Done(),
            _ => throw Impossible(state, command),
        };

    // Nothing of it runs, or what runs is on its way out: there is nobody to ask.
    private static Decision Cancel(Existing s, string? reason, DateTimeOffset now) => new(
        new Accepted(),
        [new Cancelled(reason, now)],
        s switch
        {
            Pending => [new RunnerCommand.ReleaseSlot(s.Facts.Id, s.Facts.Attempt.Next())],
            Suspended { Leaving: { } attempt } => [new RunnerCommand.Stop(s.Facts.Id, attempt, TimeSpan.Zero)],
            _ => [],
        });

    // The workflow may see the signal and report a result; SIGTERM tells those that look at no signals.
    private static Decision StopLive(Live s, StopInstance c, DateTimeOffset now)
    {
        InstanceEvent stop = new StopRequested(s.Facts.Attempt, StopReason.Cancel, c.Reason, c.Grace, now);
        var payload = Encoding.UTF8.GetBytes(c.Reason ?? "");
        return new Decision(
            new Accepted(),
            s.Facts.Signal?.Kind == SignalKind.Cancel
                ? [stop]
                : [new SignalSent(SignalKind.Cancel, now) { Payload = payload }, stop],
            s.Leaving() is { } attempt ? [new RunnerCommand.Stop(s.Facts.Id, attempt, c.Grace)] : []);
    }

    private static Decision Resume(Suspended s, DateTimeOffset now) => s.Facts.Image is null
        ? Refuse(Refusal.InvalidState, "Instance has no associated image")
        : new Decision(
            new Accepted(),
            [new Woken(true, now) { ElapsedUntil = s.WakeAt ?? now, RetryCount = RetryCountAnew(s.Facts) }],
            Replace(s));

    // Once it waits for its next attempt nothing remembers the last one: a process that hangs would keep its slot.
    private static RunnerCommand[] Replace(Suspended s)
    {
        var slot = new RunnerCommand.RequestSlot(s.Facts.Id, s.Facts.Attempt.Next(), s.Facts.Tenant);
        return s.Leaving is { } attempt
            ? [new RunnerCommand.Stop(s.Facts.Id, attempt, TimeSpan.Zero), slot]
            : [slot];
    }

    // The numbers of the kinds are in order of strength, strongest first.
    private static Decision Signal(Existing s, SendSignal c, DateTimeOffset now) =>
        s.Facts.Signal is { } waiting && waiting.Kind <= c.Kind
            ? Done()
            : Accept(new SignalSent(c.Kind, now) { Payload = c.Payload });

    private Decision Enqueue(Existing s, SendCustomSignal c, DateTimeOffset now)
    {
        if (c.Key.Length == 0)
            return Refuse(Refusal.InvalidState, "checkpoint_id is required");
        if (IsRepeated(s, c.Request))
            return Done();
        if (s.Facts.CustomSignals.Count(c.Key) >= settings.CustomSignalsMax)
        {
            return Refuse(
                Refusal.LimitExceeded,
                $"{settings.CustomSignalsMax} signals wait for '{c.Key}' of instance '{c.Instance}', which is the "
                + "limit (instances.custom-signals-max)");
        }
        if (s.Facts.CustomSignals.Waiting >= settings.CustomSignalsTotalMax)
        {
            return Refuse(
                Refusal.LimitExceeded,
                $"{settings.CustomSignalsTotalMax} signals wait for instance '{c.Instance}', which is the limit "
                + "(instances.custom-signals-total-max)");
        }
        return Accept(
            new CustomSignalSent(s.Facts.CustomSignals.Newest + 1, c.Key, c.Request, now) { Payload = c.Payload });
    }

    private static Decision Poll(Live s, PollSignals c, DateTimeOffset now)
    {
        var (custom, delivery) = c.CheckpointId is { } key ? Deliver(s, key, now) : (null, []);
        return new Decision(new Signals(s.Facts.Signal, custom), delivery, []);
    }

    // What was delivered is journaled: a later life of the actor must consume it too, and not give it a second time.
    private static (long? Number, InstanceEvent[] Delivery) Deliver(Live s, string key, DateTimeOffset now)
    {
        var waiting = s.Facts.CustomSignals;
        if (waiting.Oldest(key) is not { } number)
            return (null, []);
        return (number, waiting.IsDelivered(key, number) ? [] : [new CustomSignalDelivered(key, number, now)]);
    }

    private static InstanceEvent[] Consume(Live s, DateTimeOffset now) =>
        s.Facts.CustomSignals.Delivered.ToArray() is { Length: > 0 } numbers
            ? [new CustomSignalsConsumed([.. numbers.Order()], now)]
            : [];

    // The cancel signal of a timeout says what to do and not what it was: the instance has failed when it is done.
    private static Decision Acknowledge(Existing s, SignalKind kind, DateTimeOffset now) =>
        kind == SignalKind.Cancel && s is not (Ended or Live { Stop.Reason: StopReason.Timeout })
            ? Accept(new SignalAcknowledged(kind, now), new Cancelled(Reason(s.Facts.Signal!), now))
            : Accept(new SignalAcknowledged(kind, now));

    private static InstanceEvent StopHere(Live s, DateTimeOffset now) => s.Facts.Signal?.Kind == SignalKind.Cancel
        ? new Cancelled(s.Stop?.Reason == StopReason.Cancel ? null : Reason(s.Facts.Signal), now)
        : new Paused(s.Facts.Attempt, now);

    private static string? Reason(PendingSignal signal) => Words(signal.Payload);

    private static string? Words(ReadOnlyMemory<byte> payload) =>
        payload.IsEmpty ? null : Encoding.UTF8.GetString(payload.Span);
}
