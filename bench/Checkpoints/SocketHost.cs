using Akka.Actor;
using Akka.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Runtara.Actors.Instances;
using Runtara.Edge;
using Runtara.Edge.Instances;
using Runtara.Persistence;
using Runtara.Protocol;

namespace Runtara.Bench.Checkpoints;

/// <summary>
/// Stands for the daemon at the socket door. In runtarad a socket belongs to the container of an attempt; here are the
/// same store, actors and door without containers, one socket for each of some instances that register themselves.
/// </summary>
internal sealed class SocketHost(string directory, string databaseUrl, int instances)
{
    private static readonly TenantId Tenant = new("bench");

    public async Task RunAsync(CancellationToken cancellation)
    {
        Directory.CreateDirectory(directory);
        await using var store = await Store.OpenAsync(
            new StoreOptions { DatabaseUrl = databaseUrl, DataDirectory = Path.Combine(directory, "data") },
            cancellation);
        using var host = ActorsHost.Build(
            store, new InstanceSettings { CheckpointsMax = int.MaxValue }, _ => Props.Create<NoRunner>());
        await host.StartAsync(cancellation);
        var region = await host.Services.GetRequiredService<IRequiredActor<InstanceRegion>>().GetAsync(cancellation);
        var edge = new EdgeOptions();
        using var gate = new InstanceGate(region, edge, TimeProvider.System);
        var door = new UnixDoor(
            new InstanceRequests(gate, store.Catalog, edge, TimeProvider.System, NullLogger.Instance), edge,
            new FrameBudget(edge.FramesBytesMax), TimeProvider.System, NullLogger<UnixDoor>.Instance);
        var opened = new List<IAsyncDisposable>();
        var run = Guid.NewGuid().ToString("N")[..12];
        for (var i = 0; i < instances; i++)
        {
            var id = new InstanceId($"bench-{run}-{i:000}");
            var path = Path.Combine(directory, id.Value + ".sock");
            opened.Add(await door.OpenAsync(id, Tenant, Attempt.None, path, cancellation));
        }
        await Console.Out.WriteLineAsync($"ready: {instances} sockets in {directory}");
        // The host takes the signals; its actors are stopped when this returns.
        await host.WaitForShutdownAsync(cancellation);
        foreach (var socket in opened)
            await socket.DisposeAsync();
    }

    /// <summary>Self-registered instances have no containers, so nothing is asked of it.</summary>
    private sealed class NoRunner : UntypedActor
    {
        protected override void OnReceive(object message) => Unhandled(message);
    }
}
