namespace Runtara.Persistence;

/// <summary>The steps of a removal, in their order. Each is repeated until it finds nothing more to do.</summary>
internal enum RemovalStep
{
    /// <summary>Rows of <c>checkpoint</c>.</summary>
    Checkpoints,

    /// <summary>Rows of <c>event</c>.</summary>
    Events,

    /// <summary>Rows of <c>custom_signal</c>.</summary>
    CustomSignals,

    /// <summary>
    /// The instance itself: its row and its snapshot go and <c>journal_deleted</c> says that its events count no more.
    /// From here on the id is free. Passes over an instance that still has checkpoints, events or signals.
    /// </summary>
    Instances,

    /// <summary>Rows of <c>journal</c> that count no more.</summary>
    Journal,

    /// <summary>Rows of <c>journal_deleted</c> without any row of the journal: numbers begin at 1 again.</summary>
    Marks,
}

/// <summary>One transaction of a removal.</summary>
/// <param name="Step">What goes.</param>
/// <param name="Instances">Of which instances.</param>
/// <param name="FinishedUntil">Instances that ended later, in unix microseconds, are passed over.</param>
/// <param name="RowsMax">The most rows of children or journal that go.</param>
/// <param name="BytesMax">No further row is taken once those taken have this many bytes.</param>
internal sealed record Removal(
    RemovalStep Step, IReadOnlyList<string> Instances, long FinishedUntil, int RowsMax, long BytesMax);
