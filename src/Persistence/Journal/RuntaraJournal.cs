using Akka.Actor;
using Akka.Dispatch;
using Akka.Persistence;
using Akka.Persistence.Journal;
using Akka.Serialization;
using Runtara.Actors.Instances;
using Runtara.Persistence.Projection;

namespace Runtara.Persistence.Journal;

/// <summary>
/// The journal plugin <c>runtara.journal</c>: speaks Akka's journal protocol and leaves the work to the store's writer
/// and readers. It keeps nothing itself, so its restart loses nothing.
/// </summary>
internal sealed class RuntaraJournal : WriteJournalBase
{
    private readonly ExtendedActorSystem _system = (ExtendedActorSystem)Context.System;
    private readonly Store _store;
    private readonly bool _publish;

    public RuntaraJournal()
    {
        _store = JournalSetup.StoreOf(Context.System);
        _publish = Akka.Persistence.Persistence.Instance.Apply(Context.System).Settings.Internal.PublishPluginCommands;
    }

    protected override bool Receive(object message)
    {
        switch (message)
        {
            case WriteMessages write: Write(write); return true;
            case ReplayMessages replay: Replay(replay); return true;
            case DeleteMessagesTo delete: Delete(delete); return true;
            case CheckJournalHealth check: CheckHealth(check); return true;
            default: return false;
        }
    }

    private void Write(WriteMessages message)
    {
        var request = new JournalWrite(message, Self, this);
        if (request.Units.Count == 0 || request.Units.All(u => u.Rejection is not null))
        {
            request.Complete();
            return;
        }
        foreach (var unit in request.Units)
            _store.NewIds.Write(unit.PersistenceId);
        _store.Writer.Enqueue(request);
        if (_store.Writer.WaitForRoomAsync() is { IsCompleted: false } room)
            ActorTaskScheduler.RunTask(() => room);
    }

    private void Replay(ReplayMessages message)
    {
        var replay = new ActorReplay(message, this, _publish ? _system.EventStream : null);
        // A write of a former life came to us before, and to the writer.
        if (_store.NewIds.Take(message.PersistenceId))
            replay.EndWithNothing();
        else
            _store.Writer.WhenQuiet(message.PersistenceId, () => _store.Replayer.Enqueue(replay));
    }

    private void Delete(DeleteMessagesTo message)
    {
        var (store, events, self) = (_store, _publish ? _system.EventStream : null, Self);
        store.Writer.WhenQuiet(message.PersistenceId, () => _ = DeleteAsync());

        async Task DeleteAsync()
        {
            object reply;
            try
            {
                await store.Database.RetryAsync(
                    async token =>
                    {
                        await store.Database.DeleteToAsync(message.PersistenceId, message.ToSequenceNr, token);
                        return true;
                    },
                    CancellationToken.None);
                reply = new DeleteMessagesSuccess(message.ToSequenceNr);
            }
            catch (Exception e)
            {
                reply = new DeleteMessagesFailure(e, message.ToSequenceNr);
            }
            message.PersistentActor.Tell(reply, self);
            events?.Publish(message);
        }
    }

    private void CheckHealth(CheckJournalHealth check) => CheckHealthAsync(check.CancellationToken).PipeTo(Sender);

    private async Task<JournalHealthCheckResponse> CheckHealthAsync(CancellationToken cancellation) =>
        new(await _store.CheckHealthAsync(cancellation));

    private AtomicUnit ToUnit(AtomicWrite write, WriteRequest request)
    {
        try
        {
            var events = (IReadOnlyCollection<IPersistentRepresentation>)write.Payload;
            var rows = new JournalRow[events.Count];
            var index = 0;
            foreach (var one in events)
                rows[index++] = ToRow(AdaptToJournal(one));
            return new AtomicUnit(request, write.PersistenceId, rows, null);
        }
        catch (Exception e)
        {
            return new AtomicUnit(request, write.PersistenceId, [], e);
        }
    }

    private JournalRow ToRow(IPersistentRepresentation representation)
    {
        var payload = representation.Payload;
        var serializer = _system.Serialization.FindSerializerFor(payload);
        var bytes = Akka.Serialization.Serialization.WithTransport(_system, () => serializer.ToBinary(payload));
        var manifest = Akka.Serialization.Serialization.ManifestFor(serializer, payload);
        var @event = payload as InstanceEvent;
        var at = Micros.Of(@event?.At ?? _store.Options.Time.GetUtcNow());
        return new JournalRow(
            representation.PersistenceId, representation.SequenceNr, at, serializer.Identifier, manifest,
            representation.WriterGuid ?? "", bytes, @event);
    }

    /// <summary>A write request that answers its persistent actor.</summary>
    private sealed class JournalWrite : WriteRequest
    {
        private readonly WriteMessages _message;
        private readonly IActorRef _journal;

        public JournalWrite(WriteMessages message, IActorRef journal, RuntaraJournal owner)
        {
            (_message, _journal) = (message, journal);
            Fill(message.Messages.OfType<AtomicWrite>().Select(w => owner.ToUnit(w, this)).ToList());
        }

        public override void Complete()
        {
            var target = _message.PersistentActor;
            var failure = Units.Select(u => u.Failure).FirstOrDefault(f => f is not null);
            target.Tell(
                failure is null ? WriteMessagesSuccessful.Instance : new WriteMessagesFailed(failure, Units.Count),
                _journal);
            var index = 0;
            foreach (var envelope in _message.Messages)
            {
                if (envelope is AtomicWrite write)
                    Answer(write, Units[index++]);
                else
                    target.Tell(new LoopMessageSuccess(envelope.Payload, _message.ActorInstanceId), envelope.Sender);
            }
        }

        private void Answer(AtomicWrite write, AtomicUnit unit)
        {
            var id = _message.ActorInstanceId;
            foreach (var one in (IEnumerable<IPersistentRepresentation>)write.Payload)
            {
                object reply = unit switch
                {
                    { Rejection: { } cause } => new WriteMessageRejected(one, cause, id),
                    { Failure: { } cause } => new WriteMessageFailure(one, cause, id),
                    _ => new WriteMessageSuccess(one, id),
                };
                _message.PersistentActor.Tell(reply, one.Sender);
            }
        }
    }

    /// <summary>A recovery that answers its persistent actor.</summary>
    private sealed class ActorReplay(ReplayMessages message, RuntaraJournal owner, Akka.Event.EventStream? events)
        : Replay(message.PersistenceId, message.FromSequenceNr, message.ToSequenceNr, message.Max)
    {
        private readonly IActorRef _journal = owner.Self;

        protected override void Deliver(in StoredRow row)
        {
            var payload = owner._system.Serialization.Deserialize(row.Payload, row.SerializerId, row.Manifest);
            var representation = new Persistent(
                payload, row.SequenceNr, PersistenceId, row.Manifest, false, ActorRefs.NoSender, row.Writer,
                Micros.ToTime(row.AtMicros).UtcTicks);
            foreach (var adapted in owner.AdaptFromJournal(representation))
                message.PersistentActor.Tell(new ReplayedMessage(adapted), ActorRefs.NoSender);
        }

        protected override void Succeed(long highest) => Answer(new RecoverySuccess(highest));

        protected override void Failed(Exception cause) => Answer(new ReplayMessagesFailure(cause));

        private void Answer(object reply)
        {
            message.PersistentActor.Tell(reply, _journal);
            events?.Publish(message);
        }
    }
}
