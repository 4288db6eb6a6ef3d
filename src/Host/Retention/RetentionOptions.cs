namespace Runtara.Daemon.Retention;

/// <summary>How long what has ended is kept.</summary>
internal sealed record RetentionOptions
{
    /// <summary>How long completed instances are kept; null means for ever. Default 30 days.</summary>
    public TimeSpan? Completed { get; init; } = TimeSpan.FromDays(30);

    /// <summary>How long failed instances are kept; null means for ever. Default 30 days.</summary>
    public TimeSpan? Failed { get; init; } = TimeSpan.FromDays(30);

    /// <summary>How long cancelled instances are kept; null means for ever. Default 30 days.</summary>
    public TimeSpan? Cancelled { get; init; } = TimeSpan.FromDays(30);

    /// <summary>
    /// How long the run directory of an instance is kept after its end; null means for ever. Default 24 h.
    /// </summary>
    public TimeSpan? RunDirectories { get; init; } = TimeSpan.FromHours(24);

    /// <summary>How often it is looked for what is to go. Default 1 min.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How many instances are removed together. Default 100.</summary>
    public int Batch { get; init; } = 100;

    /// <summary>The most rows that one transaction removes. Default 500.</summary>
    public int Rows { get; init; } = 500;

    /// <summary>The pause after each transaction. Default 20 ms.</summary>
    public TimeSpan Pause { get; init; } = TimeSpan.FromMilliseconds(20);
}
