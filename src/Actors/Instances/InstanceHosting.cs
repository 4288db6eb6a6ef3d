using Akka.Actor;
using Akka.Cluster.Hosting;
using Akka.Cluster.Sharding;
using Akka.Hosting;
using Runtara.Actors.Journal;
using Runtara.Actors.Wakes;

namespace Runtara.Actors.Instances;

/// <summary>Finds the region of all instances in the actor registry.</summary>
public sealed class InstanceRegion;

/// <summary>Finds the runner of this node in the actor registry.</summary>
public sealed class RunnerOfNode;

/// <summary>What every instance actor of a node shares.</summary>
/// <param name="Decider">The semantics.</param>
/// <param name="Runner">The runner of this node.</param>
/// <param name="Time">The clock.</param>
/// <param name="SnapshotEvery">As <see cref="InstanceSettings.SnapshotEvery"/>.</param>
public sealed record InstanceSurroundings(
    InstanceDecider Decider, IActorRef Runner, TimeProvider Time, int SnapshotEvery);

/// <summary>Puts the instances and their wakers into an actor system.</summary>
public static class InstanceHosting
{
    /// <summary>The name of the shard region.</summary>
    public const string Region = "instance";

    /// <summary>
    /// Adds the serializers, the shard region of instances and wakers, the runner of this node
    /// (<paramref name="runner"/> gets the region to report to), and the clock that keeps the wakers alive.
    /// </summary>
    public static AkkaConfigurationBuilder AddInstances(
        this AkkaConfigurationBuilder builder, InstanceSettings instances, WakeSettings wakes, IWakeCatalog catalog,
        Func<IActorRef, Props> runner, TimeProvider time) => builder
        .WithCustomSerializer(
            "runtara-instance-event", [typeof(InstanceEvent)], system => new InstanceEventSerializer(system))
        .WithCustomSerializer(
            "runtara-instance-snapshot", [typeof(InstanceSnapshot)], system => new InstanceSnapshotSerializer(system))
        .WithShardRegion<InstanceRegion>(
            Region,
            (_, registry, _) =>
            {
                var decider = new InstanceDecider(instances);
                var with = new Lazy<InstanceSurroundings>(
                    () => new InstanceSurroundings(
                        decider, registry.Get<RunnerOfNode>(), time, instances.SnapshotEvery));
                // Not an expression: compiling one costs more than recovering an instance.
                return id => WakerActor.ShardOf(id) is { } shard
                    ? Props.Create(typeof(WakerActor), shard, catalog, wakes, time)
                    : Props.Create(typeof(InstanceActor), id, with.Value);
            },
            new InstanceMessageExtractor(),
            new ShardOptions
            {
                StateStoreMode = StateStoreMode.DData,
                RememberEntities = false,
                ShouldPassivateIdleEntities = false,
                Role = null,
            })
        .WithActors((system, registry) =>
        {
            // The wakers call instances into memory, and an instance needs the runner: the clock comes last.
            var region = registry.Get<InstanceRegion>();
            var runnerOfNode = system.ActorOf(runner(region), "runner");
            registry.Register<RunnerOfNode>(runnerOfNode);
            var clock = system.ActorOf(Props.Create(typeof(WakeClock), region), "wake-clock");
            CoordinatedShutdown.Get(system).AddTask(
                CoordinatedShutdown.PhaseBeforeClusterShutdown, "stop-wake-clock", () => WakeClock.StopAsync(clock));
        });
}

/// <summary>Which entity and which shard a message is for.</summary>
internal sealed class InstanceMessageExtractor : IMessageExtractor
{
    public string? EntityId(object message) => message switch
    {
        InstanceCommand command => command.Instance.Value,
        WakerMessage waker => WakerActor.EntityId(waker.Shard),
        _ => null,
    };

    public object EntityMessage(object message) => message;

    public string? ShardId(object message) => message switch
    {
        InstanceCommand command => ShardId(InstanceShard.Of(command.Instance)),
        WakerMessage waker => ShardId(waker.Shard),
        _ => null,
    };

    public string ShardId(string entityId, object? messageHint = null) =>
        ShardId(WakerActor.ShardOf(entityId) ?? InstanceShard.Of(new InstanceId(entityId)));

    private static string ShardId(int shard) => shard.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
