using Runtara.Persistence.Journal;

namespace Runtara.Persistence.Snapshots;

/// <summary>The search for a snapshot, at the beginning of a recovery.</summary>
internal abstract class SnapshotRead(string persistenceId) : RecoveryRead(persistenceId)
{
    /// <summary>
    /// Says what there is; null for nothing, and then whether the journal has nothing either and never had. Only the
    /// first answer counts.
    /// </summary>
    public void Answer(SnapshotRow? row, bool isNew = false)
    {
        if (TryFinish())
            Found(row, isNew);
    }

    protected abstract void Found(SnapshotRow? row, bool isNew);
}
