using LinqToDB.Data;
using Runtara.Actors.Images;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Queries;
using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence;

/// <summary>The seam between SQLite and PostgreSQL. Everything above it is the same for both.</summary>
internal abstract class Database(StoreOptions options) : IAsyncDisposable
{
    private string? _trouble;
    private int _waitingForRoom;

    public StoreOptions Options { get; } = options;

    /// <summary>How long an outage is waited for.</summary>
    public TimeSpan ReconnectTimeout => Options.ReconnectTimeout;

    /// <summary>
    /// Why the database cannot be used now, for callers and operators; null while nothing is known to be wrong.
    /// </summary>
    public string? Trouble => Volatile.Read(ref _trouble);

    /// <summary>How many lanes write small rows; one more writes large rows when there is more than one.</summary>
    public abstract int SmallLanes { get; }

    /// <summary>Whether calls block, so that a lane wants a thread of its own.</summary>
    public abstract bool Blocks { get; }

    /// <summary>Keeps other daemons off; throws <see cref="DatabaseOwnedException"/> when one is there.</summary>
    public abstract ValueTask<IOwnership> OwnAsync(CancellationToken cancellation);

    public abstract Task MigrateAsync(CancellationToken cancellation);

    /// <summary>Removes what a crash may have left behind.</summary>
    public abstract Task CleanUpAsync(CancellationToken cancellation);

    public abstract IJournalLane OpenLane();

    public abstract IReplaySource OpenReplaySource();

    /// <summary>Deletes rows up to a sequence number and remembers the highest one deleted.</summary>
    public abstract ValueTask DeleteToAsync(string persistenceId, long toSequenceNr, CancellationToken cancellation);

    /// <summary>
    /// Stores a snapshot in place of an older one. Does nothing when there is a newer one, or when its event is not in
    /// the journal, or its instance is gone.
    /// </summary>
    public abstract ValueTask SaveSnapshotAsync(SnapshotRow row, CancellationToken cancellation);

    public abstract ValueTask DeleteSnapshotAsync(SnapshotDeletion deletion, CancellationToken cancellation);

    /// <summary>One step of a removal, in one short transaction; says how many rows it removed.</summary>
    public abstract ValueTask<int> RemoveAsync(Removal removal, CancellationToken cancellation);

    /// <summary>Answers each of the reads (found or not); throws when the database is away.</summary>
    public abstract ValueTask ReadCheckpointsAsync(
        IReadOnlyList<CheckpointRead> reads, CancellationToken cancellation);

    /// <summary>For queries that may take long.</summary>
    public abstract DataConnection OpenCatalog();

    /// <summary>For queries that look up one row by its key, and so never wait for the others.</summary>
    public virtual DataConnection OpenLookups() => OpenCatalog();

    /// <summary>Closes the connections that nobody uses; the next ones are new.</summary>
    public virtual void DropIdleConnections()
    {
    }

    /// <summary>The image store; it repeats its operations, and queries, by <paramref name="calls"/>.</summary>
    public abstract IImageStore CreateImageStore(Database calls);

    /// <summary>Whether the database is away or busy, as opposed to having refused a statement.</summary>
    public abstract bool IsOutage(Exception cause);

    /// <summary>Whether it stops only calls that need more room, so that the success of others means nothing.</summary>
    public virtual bool IsLackOfRoom(Exception cause) => false;

    /// <summary>What is wrong and what to do about it; null for a failure that was made on purpose.</summary>
    public virtual string? Describe(Exception cause) => cause.Message.TrimEnd('.');

    /// <summary>Remembers an outage, and says so once however many calls it meets.</summary>
    public void Suffers(Exception cause)
    {
        if (Describe(cause) is { } trouble && Interlocked.Exchange(ref _trouble, trouble) is null)
        {
            Logs.OutageBegins(
                Options.Logger, DatabaseUrl.Redact(Options.DatabaseUrl), trouble,
                Options.ReconnectTimeout.TotalSeconds);
        }
    }

    /// <summary>So many calls more, or less, wait until there is room.</summary>
    public void WaitForRoom(int more) => Interlocked.Add(ref _waitingForRoom, more);

    /// <summary>A call has succeeded: the outage is over, unless other calls still wait for room.</summary>
    public void Works()
    {
        if (Trouble is null || Volatile.Read(ref _waitingForRoom) > 0)
            return;
        if (Interlocked.Exchange(ref _trouble, null) is not null)
            Logs.OutageEnds(Options.Logger, DatabaseUrl.Redact(Options.DatabaseUrl));
    }

    /// <summary>Runs an operation that may be repeated, again and again until the outage has lasted too long.</summary>
    public async ValueTask<T> RetryAsync<T>(
        Func<CancellationToken, ValueTask<T>> operation, CancellationToken cancellation)
    {
        using var outage = new Outage(this);
        while (true)
        {
            try
            {
                var result = await TryAsync(operation, cancellation);
                if (outage.HasBegun)
                    outage.Ends();
                return result;
            }
            catch (Exception e) when (IsOutage(e))
            {
                outage.Meets(e);
                if (outage.IsOver)
                    throw;
                await outage.PauseAsync(cancellation);
            }
        }
    }

    /// <summary>Asks the catalog, again and again as <see cref="RetryAsync"/> does.</summary>
    public ValueTask<T> QueryAsync<T>(
        Func<DataConnection, CancellationToken, Task<T>> query, CancellationToken cancellation) =>
        QueryAsync(OpenCatalog, query, cancellation);

    /// <summary>Asks for one row by its key, on a connection of <see cref="OpenLookups"/>.</summary>
    public ValueTask<T> LookUpAsync<T>(
        Func<DataConnection, CancellationToken, Task<T>> query, CancellationToken cancellation) =>
        QueryAsync(OpenLookups, query, cancellation);

    private ValueTask<T> QueryAsync<T>(
        Func<DataConnection> open, Func<DataConnection, CancellationToken, Task<T>> query,
        CancellationToken cancellation) =>
        RetryAsync(
            async token =>
            {
                await using var db = open();
                return await query(db, token);
            },
            cancellation);

    public abstract ValueTask DisposeAsync();

    /// <summary>One try of a repeated operation; the seam where <see cref="Faults"/> come in.</summary>
    protected virtual ValueTask<T> TryAsync<T>(
        Func<CancellationToken, ValueTask<T>> operation, CancellationToken cancellation) => operation(cancellation);

    /// <summary>An older program must not write to the tables of a newer one.</summary>
    protected static void RefuseNewer(int version, int known)
    {
        if (version > known)
            throw new InvalidOperationException(
                $"The database has schema version {version}, this program knows {known}: use a newer program");
    }
}
