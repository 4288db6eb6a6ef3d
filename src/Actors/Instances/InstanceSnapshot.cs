namespace Runtara.Actors.Instances;

/// <summary>
/// A shortcut past the first events of an instance: what <see cref="InstanceState.Apply"/> made of them. The journal
/// keeps these events; without the shortcut a recovery only takes longer.
/// </summary>
/// <param name="State">The state after an event; what only memory knows is not kept.</param>
/// <param name="At">The time of that event, by which the store knows that the journal is the one meant.</param>
public sealed record InstanceSnapshot(InstanceState State, DateTimeOffset At)
{
    /// <summary>
    /// The version of <see cref="InstanceState.Apply"/>. Raise it when the same events give another state than before:
    /// snapshots of another version are then not used.
    /// </summary>
    public const int Version = 1;

    // Keys make a snapshot large. While an instance only adds keys, all its snapshots together are then five times the
    // last one; and a recovery reads at most a quarter of an event for each key that it reads anyway.
    private const int KeysPerEvent = 4;

    /// <summary>
    /// Whether to save one, this many events after the last: never before <paramref name="every"/> events, and later
    /// for an instance with many keys. 0 means never.
    /// </summary>
    public static bool IsDue(InstanceState state, long events, int every) =>
        every > 0 && events >= every && events >= Keys(state) / KeysPerEvent;

    private static long Keys(InstanceState state) => state is InstanceState.Existing { Facts: var facts }
        ? (long)facts.Checkpoints.Count + facts.Sleeps.Count + facts.CustomSignals.Queues.Count
        : 0;
}
