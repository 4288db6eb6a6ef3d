using Runtara.Actors.Instances;
using Runtara.Persistence;

namespace Runtara.Daemon.Retention;

/// <summary>Removes instances that ended longer ago than their status is kept.</summary>
internal sealed class InstanceRetention(
    Persistence.Retention rows, RetentionOptions options,
    Func<CancellationToken, ValueTask<InstancesInMemory>> inMemory, TimeProvider time)
{
    private readonly RetentionPace _pace = new(options.Rows, options.Pause, time);

    /// <summary>Removes all that is due now; answers how many instances.</summary>
    public async ValueTask<int> RunAsync(CancellationToken cancellation)
    {
        await rows.RemoveLeftoversAsync(
            await rows.FindLeftoversAsync(options.Batch, cancellation), inMemory, _pace, cancellation);
        var shards = (await inMemory(cancellation)).Shards;
        var removed = 0;
        foreach (var (status, age) in Ages)
        {
            if (age is { } kept)
                removed += await RemoveAsync(status, time.GetUtcNow() - kept, shards, cancellation);
        }
        return removed;
    }

    private (InstanceStatus Status, TimeSpan? Age)[] Ages =>
    [
        (InstanceStatus.Completed, options.Completed),
        (InstanceStatus.Failed, options.Failed),
        (InstanceStatus.Cancelled, options.Cancelled),
    ];

    private async ValueTask<int> RemoveAsync(
        InstanceStatus status, DateTimeOffset before, IReadOnlySet<int> shards, CancellationToken cancellation)
    {
        var removed = 0;
        // Those that could not go now must not be in the way of others.
        var passedOver = new HashSet<InstanceId>();
        while (true)
        {
            var expired = await rows.FindExpiredAsync(
                status, before, shards, options.Batch + passedOver.Count, cancellation);
            var batch = expired.Where(e => !passedOver.Contains(e.Instance)).Take(options.Batch).ToList();
            if (batch.Count == 0)
                return removed;
            var gone = await rows.RemoveAsync(batch, inMemory, _pace, cancellation);
            removed += gone.Count;
            passedOver.UnionWith(batch.Select(e => e.Instance).Except(gone));
        }
    }
}
