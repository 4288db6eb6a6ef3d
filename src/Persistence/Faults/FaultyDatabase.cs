using LinqToDB.Data;
using Runtara.Actors.Images;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Queries;
using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence.Faults;

/// <summary>
/// A database whose calls fail on purpose: commits and the search for them, recoveries, uploads, and every try of an
/// operation that is repeated during an outage, which is how catalog, checkpoints, images, new snapshots and deletions
/// come to it. <see cref="Catalog.PingAsync"/> is left alone: it says whether the real database answers.
/// </summary>
internal sealed class FaultyDatabase : Database
{
    private readonly Database _inner;

    public FaultyDatabase(Database inner, FaultOptions faults, StoreOptions options) : base(options)
    {
        _inner = inner;
        Faults = new FaultDraws(faults, options.Time, inner.Blocks);
        Logs.FaultsOnPurpose(
            options.Logger, faults.Before * 100, faults.After * 100, faults.Delayed * 100, faults.Seed);
    }

    public FaultDraws Faults { get; }

    public override int SmallLanes => _inner.SmallLanes;

    public override bool Blocks => _inner.Blocks;

    public override bool IsOutage(Exception cause) => cause is InjectedFaultException || _inner.IsOutage(cause);

    public override bool IsLackOfRoom(Exception cause) => _inner.IsLackOfRoom(cause);

    public override string? Describe(Exception cause) =>
        cause is InjectedFaultException ? null : _inner.Describe(cause);

    public override ValueTask<IOwnership> OwnAsync(CancellationToken cancellation) => _inner.OwnAsync(cancellation);

    public override Task MigrateAsync(CancellationToken cancellation) => _inner.MigrateAsync(cancellation);

    public override Task CleanUpAsync(CancellationToken cancellation) => _inner.CleanUpAsync(cancellation);

    public override IJournalLane OpenLane() => new FaultyLane(_inner.OpenLane(), Faults);

    public override IReplaySource OpenReplaySource() => new FaultyReplaySource(_inner.OpenReplaySource(), Faults);

    public override ValueTask DeleteToAsync(
        string persistenceId, long toSequenceNr, CancellationToken cancellation) =>
        _inner.DeleteToAsync(persistenceId, toSequenceNr, cancellation);

    public override ValueTask SaveSnapshotAsync(SnapshotRow row, CancellationToken cancellation) =>
        _inner.SaveSnapshotAsync(row, cancellation);

    public override ValueTask DeleteSnapshotAsync(SnapshotDeletion deletion, CancellationToken cancellation) =>
        _inner.DeleteSnapshotAsync(deletion, cancellation);

    public override ValueTask<int> RemoveAsync(Removal removal, CancellationToken cancellation) =>
        _inner.RemoveAsync(removal, cancellation);

    public override ValueTask ReadCheckpointsAsync(
        IReadOnlyList<CheckpointRead> reads, CancellationToken cancellation) =>
        _inner.ReadCheckpointsAsync(reads, cancellation);

    public override void DropIdleConnections() => _inner.DropIdleConnections();

    public override DataConnection OpenCatalog() => _inner.OpenCatalog();

    public override DataConnection OpenLookups() => _inner.OpenLookups();

    public override IImageStore CreateImageStore(Database calls) =>
        new FaultyImageStore(_inner.CreateImageStore(calls), Faults);

    public override ValueTask DisposeAsync() => _inner.DisposeAsync();

    protected override ValueTask<T> TryAsync<T>(
        Func<CancellationToken, ValueTask<T>> operation, CancellationToken cancellation) =>
        Faults.CallAsync(() => operation(cancellation), cancellation);

    private sealed class FaultyLane(IJournalLane inner, FaultDraws faults) : IJournalLane
    {
        public async ValueTask CommitAsync(IReadOnlyList<AtomicUnit> units, CancellationToken cancellation) =>
            await faults.CallAsync(
                async () =>
                {
                    await inner.CommitAsync(units, cancellation);
                    return true;
                },
                cancellation);

        public ValueTask<IReadOnlySet<AtomicUnit>> FindStoredAsync(
            IReadOnlyList<AtomicUnit> units, CancellationToken cancellation) =>
            faults.CallAsync(() => inner.FindStoredAsync(units, cancellation), cancellation);

        public ValueTask ResetAsync() => inner.ResetAsync();

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }

    private sealed class FaultyReplaySource(IReplaySource inner, FaultDraws faults) : IReplaySource
    {
        public ValueTask ReadAsync(IReadOnlyList<Replay> replays, CancellationToken cancellation) =>
            CallAsync(() => inner.ReadAsync(replays, cancellation), cancellation);

        public ValueTask ReadSnapshotsAsync(IReadOnlyList<SnapshotRead> reads, CancellationToken cancellation) =>
            CallAsync(() => inner.ReadSnapshotsAsync(reads, cancellation), cancellation);

        private async ValueTask CallAsync(Func<ValueTask> read, CancellationToken cancellation) =>
            await faults.CallAsync(
                async () =>
                {
                    await read();
                    return true;
                },
                cancellation);

        public ValueTask ResetAsync() => inner.ResetAsync();

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
