namespace Runtara.Persistence.Journal;

/// <summary>What a recovery waits for: its snapshot, or its events. It is answered once.</summary>
internal abstract class RecoveryRead(string persistenceId)
{
    public string PersistenceId { get; } = persistenceId;

    public bool IsFinished { get; private set; }

    /// <summary>The read fails with this cause.</summary>
    public void Fail(Exception cause)
    {
        if (TryFinish())
            Failed(cause);
    }

    /// <summary>Whether this is the first answer.</summary>
    protected bool TryFinish()
    {
        var first = !IsFinished;
        IsFinished = true;
        return first;
    }

    protected abstract void Failed(Exception cause);
}
