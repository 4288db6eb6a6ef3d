using Akka.Actor;
using Akka.Persistence;
using Runtara.Actors.Instances;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Projection;

namespace Runtara.Persistence.Snapshots;

/// <summary>
/// The snapshot store plugin <c>runtara.snapshots</c>: speaks Akka's snapshot protocol and leaves the work to the
/// store. Not derived from Akka's own base class, whose circuit breaker fails the recoveries of all when a few calls
/// were slow. It holds one snapshot of each instance, the newest that was saved. One that cannot be used counts as
/// none.
/// </summary>
internal sealed class RuntaraSnapshots : ActorBase
{
    private readonly ExtendedActorSystem _system = (ExtendedActorSystem)Context.System;
    private readonly Store _store = JournalSetup.StoreOf(Context.System);

    protected override bool Receive(object message)
    {
        switch (message)
        {
            case LoadSnapshot load: Load(load); return true;
            case SaveSnapshot save: Save(save); return true;
            case DeleteSnapshot delete: Delete(delete); return true;
            case DeleteSnapshots delete: Delete(delete); return true;
            case CheckSnapshotStoreHealth check: CheckHealthAsync(check.CancellationToken).PipeTo(Sender); return true;
            default: return false;
        }
    }

    private void Load(LoadSnapshot message)
    {
        var replyTo = Sender;
        if (message.Criteria.Equals(SnapshotSelectionCriteria.None))
            new ActorRead(message, replyTo, this, null).Answer(null);
        else
            // As the replay that follows: what is being removed must not be found.
            _store.Writer.WhenQuiet(message.PersistenceId, () => _store.Replayer.Enqueue(
                new ActorRead(message, replyTo, this, _store.NewIds.Begin(message.PersistenceId))));
    }

    private void Save(SaveSnapshot message)
    {
        var (metadata, replyTo) = (message.Metadata, Sender);
        _store.Snapshots.Enqueue(new SnapshotSave(
            metadata.PersistenceId, metadata.SequenceNr, () => ToRow(metadata, message.Snapshot),
            cause => replyTo.Tell(
                cause is null ? new SaveSnapshotSuccess(metadata) : new SaveSnapshotFailure(metadata, cause))));
    }

    private SnapshotRow ToRow(SnapshotMetadata metadata, object snapshot)
    {
        if (snapshot is not InstanceSnapshot { At: var at })
            throw new ArgumentException($"{snapshot.GetType()} is no snapshot of an instance");
        var serializer = _system.Serialization.FindSerializerFor(snapshot);
        return new SnapshotRow(
            metadata.PersistenceId, metadata.SequenceNr, Micros.Of(at), serializer.Identifier,
            Akka.Serialization.Serialization.ManifestFor(serializer, snapshot), serializer.ToBinary(snapshot));
    }

    private void Delete(DeleteSnapshot message)
    {
        var metadata = message.Metadata;
        DeleteAsync(new SnapshotDeletion(
            metadata.PersistenceId, metadata.SequenceNr, metadata.SequenceNr, 0, long.MaxValue)).PipeTo(
                Sender, Self, () => new DeleteSnapshotSuccess(metadata),
                cause => new DeleteSnapshotFailure(metadata, cause));
    }

    private void Delete(DeleteSnapshots message)
    {
        var criteria = message.Criteria;
        DeleteAsync(new SnapshotDeletion(
            message.PersistenceId, criteria.MinSequenceNr, criteria.MaxSequenceNr, MicrosOf(criteria.MinTimestamp),
            MicrosOf(criteria.MaxTimeStamp))).PipeTo(
                Sender, Self, () => new DeleteSnapshotsSuccess(criteria),
                cause => new DeleteSnapshotsFailure(criteria, cause));
    }

    private Task DeleteAsync(SnapshotDeletion deletion) => _store.Database.RetryAsync(
        async token =>
        {
            await _store.Database.DeleteSnapshotAsync(deletion, token);
            return true;
        },
        CancellationToken.None).AsTask();

    private async Task<SnapshotStoreHealthCheckResponse> CheckHealthAsync(CancellationToken cancellation) =>
        new(await _store.CheckHealthAsync(cancellation));

    private static long MicrosOf(DateTime? time) => time is { } t && t > DateTime.UnixEpoch
        ? Micros.Of(new DateTimeOffset(DateTime.SpecifyKind(t, DateTimeKind.Utc)))
        : 0;

    /// <summary>The search for a recovering actor.</summary>
    private sealed class ActorRead(
        LoadSnapshot message, IActorRef replyTo, RuntaraSnapshots owner, NewIds.Search? search)
        : SnapshotRead(message.PersistenceId)
    {
        protected override void Found(SnapshotRow? row, bool isNew)
        {
            search?.FoundNothing = isNew;
            Reply(row is null ? null : Select(row));
        }

        // A database that is away fails the replay too; one that refuses may yet give the events.
        protected override void Failed(Exception cause)
        {
            if (owner._store.Database.IsOutage(cause) || cause is OperationCanceledException or ObjectDisposedException)
                replyTo.Tell(new LoadSnapshotFailed(cause), ActorRefs.NoSender);
            else
                Reply(Unusable(cause));
        }

        private SelectedSnapshot? Select(SnapshotRow row)
        {
            var (wanted, at) = (message.Criteria, Micros.ToTime(row.AtMicros).UtcDateTime);
            if (row.SequenceNr > Math.Min(wanted.MaxSequenceNr, message.ToSequenceNr)
                || row.SequenceNr < wanted.MinSequenceNr || at > wanted.MaxTimeStamp || at < wanted.MinTimestamp)
                return null;
            try
            {
                var snapshot = owner._system.Serialization.Deserialize(row.Payload, row.SerializerId, row.Manifest);
                return new SelectedSnapshot(new SnapshotMetadata(PersistenceId, row.SequenceNr, at), snapshot);
            }
            // Whatever a serializer says to bytes that it cannot read: the journal has everything.
            catch (Exception e)
            {
                return Unusable(e);
            }
        }

        private SelectedSnapshot? Unusable(Exception cause)
        {
            Logs.SnapshotUnusable(owner._store.Options.Logger, PersistenceId, cause.Message);
            return null;
        }

        private void Reply(SelectedSnapshot? snapshot) =>
            replyTo.Tell(new LoadSnapshotResult(snapshot, message.ToSequenceNr), ActorRefs.NoSender);
    }
}
