using Runtara.Actors.Instances;

namespace Runtara.Persistence.Journal;

/// <summary>One event as it is stored, with the event itself when the catalog follows it.</summary>
internal sealed record JournalRow(
    string PersistenceId, long SequenceNr, long AtMicros, int SerializerId, string Manifest, string Writer,
    byte[] Payload, InstanceEvent? Event);

/// <summary>Events that are stored all or not at all.</summary>
internal sealed class AtomicUnit(WriteRequest request, string persistenceId, JournalRow[] rows, Exception? rejection)
{
    public WriteRequest Request { get; } = request;

    public string PersistenceId { get; } = persistenceId;

    public JournalRow[] Rows { get; } = rows;

    public int Bytes { get; } = rows.Sum(r => RowBytes(r));

    /// <summary>Why it could not be serialized; it is then never sent to the database.</summary>
    public Exception? Rejection { get; } = rejection;

    /// <summary>Why it is not stored; null while it waits and once it is stored.</summary>
    public Exception? Failure { get; set; }

    public bool IsStored { get; set; }

    // What the projection writes beside the journal, as often as it writes it: a result goes into two tables.
    private static int RowBytes(JournalRow row) => 100 + row.Payload.Length + row.Event switch
    {
        InstanceEvent.Started e => e.Input.Length,
        InstanceEvent.CheckpointSaved e => e.State.Length,
        InstanceEvent.Completed e => 2 * e.Output.Length,
        InstanceEvent.Failed e => 2 * e.Error.Length,
        InstanceEvent.AttemptExited e => e.StderrTail.Length,
        InstanceEvent.CustomReported e => e.Payload.Length,
        InstanceEvent.CustomSignalSent e => e.Payload.Length,
        _ => 0,
    };
}

/// <summary>One <c>WriteMessages</c> on its way to the database.</summary>
internal abstract class WriteRequest
{
    private Dictionary<string, Exception>? _poison;

    public IReadOnlyList<AtomicUnit> Units { get; private set; } = [];

    public IReadOnlyList<string> PersistenceIds { get; private set; } = [];

    public int Bytes { get; private set; }

    public int Rows { get; private set; }

    /// <summary>The lane that it was queued in.</summary>
    public int Lane { get; set; }

    /// <summary>Once a unit has failed, later ones of its id must not be stored: they would leave a gap.</summary>
    public void Poison(string persistenceId, Exception cause) =>
        (_poison ??= []).TryAdd(persistenceId, cause);

    public Exception? PoisonOf(string persistenceId) => _poison?.GetValueOrDefault(persistenceId);

    protected void Fill(IReadOnlyList<AtomicUnit> units)
    {
        Units = units;
        PersistenceIds = units.Count == 1
            ? [units[0].PersistenceId]
            : units.Select(u => u.PersistenceId).Distinct().ToList();
        Bytes = units.Sum(u => u.Bytes);
        Rows = units.Sum(u => u.Rows.Length);
    }

    /// <summary>Called once, from any thread, when every unit is stored or failed.</summary>
    public abstract void Complete();
}

/// <summary>A connection that commits. Used by one caller at a time.</summary>
internal interface IJournalLane : IAsyncDisposable
{
    /// <summary>Stores all units, with their catalog rows, in one transaction; connects when it has to.</summary>
    ValueTask CommitAsync(IReadOnlyList<AtomicUnit> units, CancellationToken cancellation);

    /// <summary>Of these units, those whose rows exist with their own writer.</summary>
    ValueTask<IReadOnlySet<AtomicUnit>> FindStoredAsync(
        IReadOnlyList<AtomicUnit> units, CancellationToken cancellation);

    /// <summary>Drops the connection; the next call opens another.</summary>
    ValueTask ResetAsync();
}
