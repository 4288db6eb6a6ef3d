using Akka.Persistence;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Actors.Wakes;
using Runtara.Persistence.Faults;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence;

/// <summary>
/// The durable memory of a node: journal, snapshots, catalog and image bytes in one database. One per process (or per
/// actor system), opened before the actor system starts and disposed after it has ended.
/// </summary>
public sealed class Store : IAsyncDisposable, IWakeCatalog, IInstanceInputs
{
    private static readonly TimeSpan AskOwnerEvery = TimeSpan.FromMilliseconds(500);

    private readonly Database _database;
    private readonly IOwnership? _ownership;
    private int _disposed;

    private Store(Database database, IOwnership? ownership, StoreOptions options)
    {
        _database = database;
        _ownership = ownership;
        Options = options;
        Writer = new JournalWriter(database, options);
        Replayer = new ReplayReader(database, options);
        Snapshots = new SnapshotWriter(database, options);
        Catalog = new Catalog(database);
        Images = database.CreateImageStore(database);
        Retention = new Retention(database, Writer);
    }

    /// <summary>What the store was opened with.</summary>
    public StoreOptions Options { get; }

    /// <summary>
    /// Completes, with what to say, when the database of a store that is to be <see cref="StoreOptions.Alone"/> is
    /// another's: the process must end, as nothing that it does counts any more.
    /// </summary>
    public Task<string> Lost => _ownership?.Lost ?? new TaskCompletionSource<string>().Task;

    /// <summary>The queries over instances and checkpoints.</summary>
    public Catalog Catalog { get; }

    /// <summary>The images that all nodes share.</summary>
    public IImageStore Images { get; }

    /// <summary>The removal of what ended long ago.</summary>
    public Retention Retention { get; }

    internal JournalWriter Writer { get; }

    internal ReplayReader Replayer { get; }

    internal NewIds NewIds { get; } = new();

    internal SnapshotWriter Snapshots { get; }

    internal Database Database => _database;

    /// <summary>
    /// Connects, creates or migrates the tables, and removes what an upload that broke off left behind. PostgreSQL is
    /// tried again for <see cref="StoreOptions.ReconnectTimeout"/>. Throws <see cref="StoreUnavailableException"/> with
    /// the URL (never its password) when that fails, <see cref="FormatException"/> for an URL that makes no sense, and
    /// <see cref="DatabaseOwnedException"/> when it is to be <see cref="StoreOptions.Alone"/> and is not.
    /// </summary>
    public static async ValueTask<Store> OpenAsync(StoreOptions options, CancellationToken cancellation)
    {
        var database = DatabaseUrl.Open(options);
        IOwnership? ownership = null;
        try
        {
            // Before the tables are touched, and without faults: what is taken and not known of is never given back.
            if (options.Alone)
                ownership = await OwnAsync(database, options, cancellation);
            if (options.Faults is { } faults)
                database = new FaultyDatabase(database, faults, options);
            await database.RetryAsync(
                async token => { await database.MigrateAsync(token); return true; }, cancellation);
            await database.RetryAsync(
                async token => { await database.CleanUpAsync(token); return true; }, cancellation);
            return new Store(database, ownership, options);
        }
        catch (Exception e) when (database.IsOutage(e) || e is System.Data.Common.DbException or IOException)
        {
            await CloseAsync(database, ownership);
            throw new StoreUnavailableException(
                $"Cannot open the database {DatabaseUrl.Redact(options.DatabaseUrl)}: "
                + (database.Describe(e) ?? e.Message), e);
        }
        catch
        {
            await CloseAsync(database, ownership);
            throw;
        }
    }

    private static async ValueTask<IOwnership> OwnAsync(
        Database database, StoreOptions options, CancellationToken cancellation)
    {
        long? since = null;
        while (true)
        {
            try
            {
                return await database.RetryAsync(database.OwnAsync, cancellation);
            }
            catch (DatabaseOwnedException e)
            {
                var now = options.Time.GetTimestamp();
                if (options.Time.GetElapsedTime(since ?? now, now) >= options.OwnerTimeout)
                    throw;
                if (since is null)
                    Logs.OwnedByAnother(options.Logger, e.Message, options.OwnerTimeout.TotalSeconds);
                since ??= now;
                await Task.Delay(AskOwnerEvery, options.Time, cancellation);
            }
        }
    }

    // The lock goes last: until then this process may still write.
    private static async ValueTask CloseAsync(Database database, IOwnership? ownership)
    {
        await database.DisposeAsync();
        if (ownership is not null)
            await ownership.DisposeAsync();
    }

    /// <inheritdoc />
    public ValueTask<IReadOnlyList<DueInstance>> ReadDueAsync(
        int shard, DateTimeOffset before, int limit, CancellationToken cancellation) =>
        Catalog.ReadDueAsync(shard, before, limit, cancellation);

    /// <inheritdoc />
    public ValueTask<IReadOnlyList<InstanceId>> ReadLiveAsync(int shard, CancellationToken cancellation) =>
        Catalog.ReadLiveAsync(shard, cancellation);

    /// <inheritdoc />
    public ValueTask<ReadOnlyMemory<byte>> ReadInputAsync(InstanceId instance, CancellationToken cancellation) =>
        Catalog.ReadInputAsync(instance, cancellation);

    /// <summary>What the plugins answer when Akka asks how they are.</summary>
    internal async Task<PersistenceHealthCheckResult> CheckHealthAsync(CancellationToken cancellation) =>
        await Catalog.PingAsync(cancellation)
            ? new PersistenceHealthCheckResult(PersistenceHealthStatus.Healthy)
            : new PersistenceHealthCheckResult(PersistenceHealthStatus.Degraded, "the database does not answer");

    /// <summary>Writes what is waiting, then closes the connections. Writes that cannot be stored fail.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        await Writer.DisposeAsync();
        await Snapshots.DisposeAsync();
        await Replayer.DisposeAsync();
        await Catalog.CloseAsync();
        await CloseAsync(_database, _ownership);
    }
}

/// <summary>The database cannot be reached or opened, or has no room; the text says what to do.</summary>
public sealed class StoreUnavailableException(string message, Exception cause) : Exception(message, cause);
