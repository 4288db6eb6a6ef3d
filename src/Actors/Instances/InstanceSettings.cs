namespace Runtara.Actors.Instances;

/// <summary>The numbers of the semantics that an operator may change; HOCON section <c>runtara.instances</c>.</summary>
public sealed record InstanceSettings
{
    /// <summary>Attempts in a row without a new checkpoint before an instance fails. Default 3.</summary>
    public int MaxAttempts { get; init; } = 3;

    /// <summary>The pause before the second attempt; doubled for each further one, ±20 %. Default 1 s.</summary>
    public TimeSpan BackoffMin { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest pause between attempts. Default 60 s.</summary>
    public TimeSpan BackoffMax { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>No request for this long makes a running attempt stale. Default 120 s.</summary>
    public TimeSpan StaleAfter { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>A sleep with more than this remaining gives up its container. Default 10 s.</summary>
    public TimeSpan HibernateAfter { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long a sleeping attempt must have asked for nothing else before it is given up. Default 2 s.
    /// </summary>
    public TimeSpan HibernateIdle { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// The longest sleep; <c>output.json</c> that asks for more gets this. Default 3,650 days, as
    /// <c>edge.sleep-max</c>.
    /// </summary>
    public TimeSpan SleepMax { get; init; } = TimeSpan.FromDays(3650);

    /// <summary>From SIGTERM to SIGKILL after a timeout. Default 5 s.</summary>
    public TimeSpan StopGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a process may go on after it reported its end, before it is stopped. Default 10 s.</summary>
    public TimeSpan LeaveWithin { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The most custom signals that wait under one key of an instance. Default 10,000.</summary>
    public int CustomSignalsMax { get; init; } = 10_000;

    /// <summary>The most custom signals that wait for one instance, under all keys. Default 100,000.</summary>
    public int CustomSignalsTotalMax { get; init; } = 100_000;

    /// <summary>The most sleeps of one instance, of which each has a key. Default 100,000.</summary>
    public int SleepsMax { get; init; } = 100_000;

    /// <summary>The most checkpoints of one instance. Default 100,000.</summary>
    public int CheckpointsMax { get; init; } = 100_000;

    /// <summary>
    /// After how many events a snapshot of an instance is saved, so that a recovery need not read them again; 0: none
    /// is saved or used. Default 2,000.
    /// </summary>
    public int SnapshotEvery { get; init; } = 2000;
}
