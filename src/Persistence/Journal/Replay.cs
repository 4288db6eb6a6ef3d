using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence.Journal;

/// <summary>A stored event as the database gives it back.</summary>
internal readonly record struct StoredRow(
    long SequenceNr, long AtMicros, int SerializerId, string Manifest, string Writer, byte[] Payload);

/// <summary>
/// The events of one recovery under way. It remembers how far it got, so that a read that broke off goes on where it
/// was.
/// </summary>
internal abstract class Replay(string persistenceId, long from, long to, long max) : RecoveryRead(persistenceId)
{
    private long _next = Math.Max(1, from);
    private long _left = max;
    private long _highest = -1;
    private bool _atStart = true;

    public long From => _next;

    public long To { get; } = to;

    public long Left => _left;

    /// <summary>Says what the highest number is and up to where rows were deleted. Called before any row.</summary>
    public void Begin(long highest, long deletedTo)
    {
        _highest = highest;
        if (_atStart)
            _next = Math.Max(_next, deletedTo + 1);
    }

    /// <summary>Takes the next row; false when this recovery has failed and wants no more.</summary>
    public bool Accept(in StoredRow row)
    {
        if (IsFinished)
            return false;
        if (row.SequenceNr != _next)
            return Gap();
        _atStart = false;
        _next++;
        _left--;
        try
        {
            Deliver(row);
            return true;
        }
        catch (Exception e)
        {
            Fail(e);
            return false;
        }
    }

    /// <summary>There are no more rows.</summary>
    public void End()
    {
        if (IsFinished)
            return;
        if (_left > 0 && _next <= Math.Min(To, _highest))
        {
            Gap();
            return;
        }
        TryFinish();
        Succeed(_atStart ? _highest : Math.Max(_highest, _next - 1));
    }

    /// <summary>There are no rows, and never were any.</summary>
    public void EndWithNothing()
    {
        Begin(0, 0);
        End();
    }

    protected abstract void Deliver(in StoredRow row);

    protected abstract void Succeed(long highest);

    private bool Gap()
    {
        Fail(new InvalidDataException($"Event {_next} of {PersistenceId} is missing in the journal"));
        return false;
    }
}

/// <summary>Reads for recoveries. Used by one caller at a time.</summary>
internal interface IReplaySource : IAsyncDisposable
{
    /// <summary>Gives each replay its <c>Begin</c>, rows, and <c>End</c>; throws when the database is away.</summary>
    ValueTask ReadAsync(IReadOnlyList<Replay> replays, CancellationToken cancellation);

    /// <summary>Gives each read its answer; throws when the database is away.</summary>
    ValueTask ReadSnapshotsAsync(IReadOnlyList<SnapshotRead> reads, CancellationToken cancellation);

    ValueTask ResetAsync();
}
