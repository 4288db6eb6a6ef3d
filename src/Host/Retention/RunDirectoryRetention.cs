using Microsoft.Extensions.Logging;
using Runtara.Actors.Instances;
using Runtara.Persistence;
using Runtara.Runner.Files;

namespace Runtara.Daemon.Retention;

/// <summary>
/// Removes the run directories of this node whose instance ended long enough ago, or is gone. What the catalog says
/// decides, never the age of files: a sleeper's may be old. A directory of which the catalog knows nothing must have
/// been like that, before the eyes of this process, for as long as a directory is kept: a daemon that is started with
/// another database by mistake does not clear the disk at once.
/// </summary>
internal sealed class RunDirectoryRetention(
    Persistence.Retention rows, RunDirectoryCleaner cleaner, RetentionOptions options,
    Func<CancellationToken, ValueTask<InstancesInMemory>> inMemory, TimeProvider time, ILogger log)
{
    private const int Together = 100;
    private const int LooksWithinAge = 24;
    private readonly Dictionary<FoundRunDirectory, DateTimeOffset> _unknownSince = [];
    private DateTimeOffset _next = DateTimeOffset.MinValue;

    /// <summary>Removes what is due now, unless it was looked for a short while ago; answers how many.</summary>
    public async ValueTask<int> RunAsync(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        if (options.RunDirectories is not { } kept || now < _next)
            return 0;
        _next = now + kept / LooksWithinAge;
        var (removed, unknown) = (0, new HashSet<FoundRunDirectory>());
        foreach (var some in cleaner.Find().Chunk(Together))
        {
            var due = await DueAsync(some, kept, unknown, cancellation);
            if (due.Count > 0)
                removed += await MoveAsideAsync(due, kept, unknown, cancellation);
        }
        foreach (var known in _unknownSince.Keys.Where(d => !unknown.Contains(d)).ToList())
            _unknownSince.Remove(known);
        Empty(cancellation);
        return removed;
    }

    private async ValueTask<List<FoundRunDirectory>> DueAsync(
        IReadOnlyList<FoundRunDirectory> found, TimeSpan kept, HashSet<FoundRunDirectory> unknown,
        CancellationToken cancellation)
    {
        var fates = await rows.FindAsync(found.Select(d => d.Instance).Distinct().ToList(), cancellation);
        var before = time.GetUtcNow() - kept;
        return found.Where(IsDue).ToList();

        bool IsDue(FoundRunDirectory directory)
        {
            if (fates.TryGetValue(directory.Instance, out var fate) && cleaner.IsOf(directory, fate.Tenant))
                return HasEnded(fate) && fate.FinishedAt < before;
            unknown.Add(directory);
            _unknownSince.TryAdd(directory, time.GetUtcNow());
            return _unknownSince[directory] < before;
        }
    }

    private static bool HasEnded(InstanceFate fate) =>
        fate.Status is InstanceStatus.Completed or InstanceStatus.Failed or InstanceStatus.Cancelled;

    // While they are held, none of these instances can begin anew, so what is due stays so.
    private async ValueTask<int> MoveAsideAsync(
        List<FoundRunDirectory> due, TimeSpan kept, HashSet<FoundRunDirectory> unknown,
        CancellationToken cancellation)
    {
        using var held = rows.Hold(due.Select(d => d.Instance.Value).Distinct());
        var free = held.Ids.ToHashSet();
        var memory = await inMemory(cancellation);
        free.ExceptWith(memory.Instances.Select(i => i.Value));
        var still = await DueAsync(
            due.Where(d => free.Contains(d.Instance.Value)).ToList(), kept, unknown, cancellation);
        return still.Count(MoveAside);
    }

    private bool MoveAside(FoundRunDirectory directory)
    {
        try
        {
            return !cleaner.HasContainer(directory) && cleaner.MoveAside(directory);
        }
        catch (IOException e)
        {
            log.RunDirectoryStays($"{directory.Tenant}/runs/{directory.Name}", e.Message);
            return false;
        }
    }

    private void Empty(CancellationToken cancellation)
    {
        try
        {
            cleaner.Empty(cancellation);
        }
        catch (IOException e)
        {
            log.RunDirectoryStays("that was moved aside", e.Message);
        }
    }
}
