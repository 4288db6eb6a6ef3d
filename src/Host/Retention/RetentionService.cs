using System.Globalization;
using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Runtara.Actors.Instances;
using Runtara.Actors.Wakes;
using Runtara.Daemon.Configuration;
using Runtara.Persistence;
using Runtara.Runner.Files;

namespace Runtara.Daemon.Retention;

/// <summary>Looks now and then for what ended long ago, and removes it. Each node does its own.</summary>
internal sealed class RetentionService(
    DaemonOptions options, Store store, IRequiredActor<InstanceRegion> region, TimeProvider time,
    ILogger<RetentionService> log) : BackgroundService
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private long _instances;
    private long _directories;

    /// <summary>Instances removed since the start of the process.</summary>
    public long InstancesRemoved => Interlocked.Read(ref _instances);

    /// <summary>Run directories removed since the start of the process.</summary>
    public long RunDirectoriesRemoved => Interlocked.Read(ref _directories);

    /// <inheritdoc />
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var instances = new InstanceRetention(store.Retention, options.Retention, InMemoryAsync, time);
        var directories = new RunDirectoryRetention(
            store.Retention, new RunDirectoryCleaner(options.DataDirectory, options.KeptNames), options.Retention,
            InMemoryAsync, time, log);
        using var timer = new PeriodicTimer(options.Retention.Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await TryAsync("instances", async () =>
                {
                    var removed = await instances.RunAsync(stoppingToken);
                    Interlocked.Add(ref _instances, removed);
                    if (removed > 0)
                        log.InstancesRemoved(removed);
                });
                await TryAsync("run directories", async () =>
                {
                    var removed = await directories.RunAsync(stoppingToken);
                    Interlocked.Add(ref _directories, removed);
                    if (removed > 0)
                        log.RunDirectoriesRemoved(removed);
                });
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The daemon stops.
        }
    }

    private async Task TryAsync(string what, Func<Task> work)
    {
        try
        {
            await work();
        }
        // Whatever database, disk or shards have: what is not removed today is removed tomorrow.
        catch (Exception e) when (e is not OperationCanceledException)
        {
            log.RetentionFailed(e, what, options.Retention.Interval);
        }
    }

    private async ValueTask<InstancesInMemory> InMemoryAsync(CancellationToken cancellation)
    {
        var state = await (await region.GetAsync(cancellation)).Ask<CurrentShardRegionState>(
            GetShardRegionState.Instance, Patience, cancellation);
        if (state.Failed.Count > 0)
            throw new TimeoutException($"{state.Failed.Count} shards did not say which instances are in memory");
        return new InstancesInMemory(
            state.Shards.Select(s => int.Parse(s.ShardId, CultureInfo.InvariantCulture)).ToHashSet(),
            state.Shards.SelectMany(s => s.EntityIds).Where(id => WakerActor.ShardOf(id) is null)
                .Select(id => new InstanceId(id)).ToHashSet());
    }
}
