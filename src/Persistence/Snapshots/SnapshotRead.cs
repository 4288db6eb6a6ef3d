using Runtara.Persistence.Journal;

namespace Runtara.Persistence.Snapshots;

/// <summary>The search for a snapshot, at the beginning of a recovery.</summary>
internal abstract class SnapshotRead(string persistenceId) : RecoveryRead(persistenceId)
{
    /// <summary>Says what there is; null for nothing. Only the first answer counts.</summary>
    public void Answer(SnapshotRow? row)
    {
        if (TryFinish())
            Found(row);
    }

    protected abstract void Found(SnapshotRow? row);
}
