using Runtara.Actors.Instances;

namespace Runtara.Actors.Wakes;

/// <summary>A sleeping instance and when it is to be woken.</summary>
public readonly record struct DueInstance(InstanceId Instance, DateTimeOffset WakeAt);

/// <summary>
/// What a shard's waker asks the catalog; answered from the rows that the journal's transactions write.
/// </summary>
public interface IWakeCatalog
{
    /// <summary>
    /// Suspended instances of the shard with a wake time before <paramref name="before"/>, earliest first.
    /// </summary>
    ValueTask<IReadOnlyList<DueInstance>> ReadDueAsync(
        int shard, DateTimeOffset before, int limit, CancellationToken cancellation);

    /// <summary>Instances of the shard that must be in memory: pending and running ones.</summary>
    ValueTask<IReadOnlyList<InstanceId>> ReadLiveAsync(int shard, CancellationToken cancellation);
}
