using LinqToDB;
using LinqToDB.Async;
using LinqToDB.Data;
using Runtara.Actors.Instances;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Projection;
using Runtara.Persistence.Queries;

namespace Runtara.Persistence;

// Why an id can be used again at once, and why no actor keeps what is gone:
//
// 1. Only terminal instances are removed, and terminal is final. So nothing is lost that a later event would need.
// 2. Nothing at all goes before the shards of this node were asked for their actors. An instance that has one (its
//    process has not ended yet, say, or somebody just asked for it) is passed over until the next time.
// 3. When the row goes, the id is held, so its recoveries wait (JournalWriter.Hold; an id with a write in flight is not
//    held at all), and the shards are asked again: there may be an actor by now. One that comes up after that answer
//    has to recover first, so it waits, and then finds an empty journal. What came up between the two answers may lack
//    checkpoints and listed events until it goes, the next time.
// 4. An instance lives in one shard and a shard on one node, so a node removes only what its own shards would run.
//
// The row goes in one transaction with the snapshot and the mark that the events count no more (journal_deleted, which
// recoveries obey), so a crash in between leaves an id that is either still there or free; and it is free at once, for
// the hold ends there. The events themselves may be many and go afterwards in pieces, which nobody waits for: new ones
// of the same id have numbers above the mark. The mark is last. It goes while the id is held and has no actor, because
// an actor that recovered above the mark must not find it gone; what stays is found by FindLeftoversAsync.
// Checkpoints, events for lists and custom signals go before the row: a new instance of the same id must not find any.

/// <summary>
/// Removes instances that ended long ago with everything they have: checkpoints, listed events, signals, snapshot,
/// journal. In short transactions with pauses, so that live work goes on. Two nodes that do the same do no harm.
/// </summary>
public sealed class Retention
{
    private const long BytesMax = 4 * 1024 * 1024;

    private const string Leftovers =
        """
        SELECT persistence_id FROM journal_deleted d
        WHERE NOT EXISTS (SELECT 1 FROM instance i WHERE i.instance_id = d.persistence_id)
          AND (NOT EXISTS (SELECT 1 FROM journal j WHERE j.persistence_id = d.persistence_id)
            OR EXISTS (SELECT 1 FROM journal j WHERE j.persistence_id = d.persistence_id AND j.seq <= d.deleted_to))
        LIMIT 
        """;

    private readonly Database _database;
    private readonly JournalWriter _writer;

    internal Retention(Database database, JournalWriter writer) => (_database, _writer) = (database, writer);

    /// <summary>
    /// Instances of these shards with this terminal status that ended before the time, those first that ended first.
    /// </summary>
    public async ValueTask<IReadOnlyList<ExpiredInstance>> FindExpiredAsync(
        InstanceStatus status, DateTimeOffset before, IReadOnlySet<int> shards, int limit,
        CancellationToken cancellation)
    {
        if (status is not (InstanceStatus.Completed or InstanceStatus.Failed or InstanceStatus.Cancelled))
            throw new ArgumentOutOfRangeException(nameof(status), status, "only what has ended can expire");
        var (number, micros, all) = ((short)status, Micros.Of(before), shards.Count == InstanceShard.Count);
        var mine = shards.Select(s => (short)s).ToList();
        var rows = await _database.QueryAsync(
            (db, token) => db.GetTable<InstanceTable>()
                .Where(i => i.Status == number && i.FinishedAt < micros && (all || mine.Contains(i.Shard)))
                .OrderBy(i => i.FinishedAt).Take(limit)
                .Select(i => new
                {
                    i.Id, i.FinishedAt,
                    Bytes = Length(i.Input) + Length(i.Output) + Length(
                        db.GetTable<SnapshotTable>().Where(s => s.Id == i.Id).Select(s => s.Payload).FirstOrDefault()),
                })
                .ToListAsync(token),
            cancellation);
        return rows.ConvertAll(r => new ExpiredInstance(
            new InstanceId(r.Id), Micros.ToTime(r.FinishedAt!.Value), r.Bytes));
    }

    /// <summary>
    /// Removes these instances but for those that have an actor: <paramref name="inMemory"/> is asked for them whenever
    /// it matters. Answers which are gone, or were gone already.
    /// </summary>
    public async ValueTask<IReadOnlyList<InstanceId>> RemoveAsync(
        IReadOnlyList<ExpiredInstance> expired, Func<CancellationToken, ValueTask<InstancesInMemory>> inMemory,
        RetentionPace pace, CancellationToken cancellation)
    {
        if (expired.Count == 0)
            return [];
        var until = Micros.Of(expired.Max(e => e.FinishedAt));
        var ids = Free(expired.Select(e => e.Instance.Value), await inMemory(cancellation));
        await RepeatAsync(RemovalStep.Checkpoints, ids, pace, cancellation);
        await RepeatAsync(RemovalStep.Events, ids, pace, cancellation);
        await RepeatAsync(RemovalStep.CustomSignals, ids, pace, cancellation);
        var gone = new List<string>();
        foreach (var part in Parts(expired, ids))
        {
            gone.AddRange(await RemoveRowsAsync(part, until, inMemory, cancellation));
            await PauseAsync(pace, cancellation);
        }
        await RemoveJournalAsync(gone, inMemory, pace, cancellation);
        return gone.ConvertAll(id => new InstanceId(id));
    }

    /// <summary>Removed instances of which a crash left events; for <see cref="RemoveLeftoversAsync"/>.</summary>
    public async ValueTask<IReadOnlyList<InstanceId>> FindLeftoversAsync(int limit, CancellationToken cancellation)
    {
        var ids = await _database.QueryAsync(
            (db, token) => db.QueryToListAsync<string>(Leftovers + limit, token), cancellation);
        return ids.ConvertAll(id => new InstanceId(id));
    }

    /// <summary>Removes what a crash left of removed instances, but for those that have an actor again.</summary>
    public async ValueTask RemoveLeftoversAsync(
        IReadOnlyList<InstanceId> leftovers, Func<CancellationToken, ValueTask<InstancesInMemory>> inMemory,
        RetentionPace pace, CancellationToken cancellation)
    {
        if (leftovers.Count == 0)
            return;
        await RemoveJournalAsync(leftovers.Select(id => id.Value).ToList(), inMemory, pace, cancellation);
    }

    /// <summary>Those of these instances that exist: whose they are, how they are, when they ended.</summary>
    public async ValueTask<IReadOnlyDictionary<InstanceId, InstanceFate>> FindAsync(
        IReadOnlyList<InstanceId> instances, CancellationToken cancellation)
    {
        var ids = instances.Select(i => i.Value).ToList();
        var rows = await _database.QueryAsync(
            (db, token) => db.GetTable<InstanceTable>().Where(i => ids.Contains(i.Id))
                .Select(i => new { i.Id, i.Tenant, i.Status, i.FinishedAt }).ToListAsync(token),
            cancellation);
        return rows.ToDictionary(
            r => new InstanceId(r.Id),
            r => new InstanceFate(
                new TenantId(r.Tenant), (InstanceStatus)r.Status, Micros.ToTime(r.FinishedAt)));
    }

    /// <summary>
    /// Makes recoveries of these instances wait until disposed: nothing about them begins meanwhile. Those with a write
    /// in flight are left out.
    /// </summary>
    public HeldInstances Hold(IEnumerable<string> instances) => new(_writer, _writer.Hold(instances));

    private static List<string> Free(IEnumerable<string> ids, InstancesInMemory memory) =>
        ids.Where(id => memory.IsFree(new InstanceId(id))).Distinct().ToList();

    /// <summary>Answers which are gone.</summary>
    private async ValueTask<IReadOnlyList<string>> RemoveRowsAsync(
        IReadOnlyList<string> ids, long until, Func<CancellationToken, ValueTask<InstancesInMemory>> inMemory,
        CancellationToken cancellation)
    {
        using var held = Hold(ids);
        var free = Free(held.Ids, await inMemory(cancellation));
        await StepAsync(new Removal(RemovalStep.Instances, free, until, 0, 0), cancellation);
        var left = await FindAsync(free.ConvertAll(id => new InstanceId(id)), cancellation);
        free.RemoveAll(id => left.ContainsKey(new InstanceId(id)));
        return free;
    }

    private async ValueTask RemoveJournalAsync(
        IReadOnlyList<string> ids, Func<CancellationToken, ValueTask<InstancesInMemory>> inMemory,
        RetentionPace pace, CancellationToken cancellation)
    {
        await RepeatAsync(RemovalStep.Journal, ids, pace, cancellation);
        if (ids.Count == 0)
            return;
        using var held = Hold(ids);
        await StepAsync(
            new Removal(RemovalStep.Marks, Free(held.Ids, await inMemory(cancellation)), 0, 0, 0), cancellation);
    }

    private async ValueTask RepeatAsync(
        RemovalStep step, IReadOnlyList<string> ids, RetentionPace pace, CancellationToken cancellation)
    {
        while (await StepAsync(new Removal(step, ids, 0, pace.RowsMax, BytesMax), cancellation) > 0)
            await PauseAsync(pace, cancellation);
    }

    private ValueTask<int> StepAsync(Removal removal, CancellationToken cancellation) =>
        removal.Instances.Count == 0
            ? ValueTask.FromResult(0)
            : _database.RetryAsync(token => _database.RemoveAsync(removal, token), cancellation);

    private static Task PauseAsync(RetentionPace pace, CancellationToken cancellation) =>
        Task.Delay(pace.Pause, pace.Time, cancellation);

    // Inputs, outputs and snapshots are large; a part of the rows has no more bytes than any other transaction here.
    private static IEnumerable<IReadOnlyList<string>> Parts(
        IReadOnlyList<ExpiredInstance> expired, IReadOnlyList<string> free)
    {
        var bytes = expired.DistinctBy(e => e.Instance).ToDictionary(e => e.Instance.Value, e => e.Bytes);
        var (part, sum) = (new List<string>(), 0L);
        foreach (var id in free)
        {
            if (part.Count > 0 && sum + bytes[id] > BytesMax)
            {
                yield return part;
                (part, sum) = ([], 0L);
            }
            part.Add(id);
            sum += bytes[id];
        }
        if (part.Count > 0)
            yield return part;
    }

    [Sql.Expression("COALESCE(length({0}), 0)", ServerSideOnly = true)]
    private static long Length(byte[]? bytes) => bytes?.Length ?? 0;
}

/// <summary>An instance that ended long enough ago.</summary>
/// <param name="Instance">The instance.</param>
/// <param name="FinishedAt">When it ended.</param>
/// <param name="Bytes">The size of its input, output and snapshot.</param>
public sealed record ExpiredInstance(InstanceId Instance, DateTimeOffset FinishedAt, long Bytes);

/// <summary>How fast a removal may go.</summary>
/// <param name="RowsMax">The most rows that one transaction removes.</param>
/// <param name="Pause">The pause after each transaction.</param>
/// <param name="Time">The clock.</param>
public sealed record RetentionPace(int RowsMax, TimeSpan Pause, TimeProvider Time);

/// <summary>What has an actor on this node.</summary>
/// <param name="Shards">The shards that answered; nothing is known of others.</param>
/// <param name="Instances">The instances in them that have an actor.</param>
public sealed record InstancesInMemory(IReadOnlySet<int> Shards, IReadOnlySet<InstanceId> Instances)
{
    /// <summary>Whether this node would run the instance and does not now.</summary>
    public bool IsFree(InstanceId instance) =>
        Shards.Contains(InstanceShard.Of(instance)) && !Instances.Contains(instance);
}

/// <summary>How an instance is.</summary>
/// <param name="Tenant">Its owner.</param>
/// <param name="Status">Its status.</param>
/// <param name="FinishedAt">When it ended; null while it has not.</param>
public sealed record InstanceFate(TenantId Tenant, InstanceStatus Status, DateTimeOffset? FinishedAt);

/// <summary>Instances whose recoveries wait.</summary>
public sealed class HeldInstances : IDisposable
{
    private readonly JournalWriter _writer;
    private int _released;

    internal HeldInstances(JournalWriter writer, IReadOnlyList<string> ids) => (_writer, Ids) = (writer, ids);

    /// <summary>Those that are held.</summary>
    public IReadOnlyList<string> Ids { get; }

    /// <inheritdoc />
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _released, 1) == 0)
            _writer.Release(Ids);
    }
}
