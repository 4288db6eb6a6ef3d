using Akka.Actor;
using Akka.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Runtara.Actors.Images;
using Runtara.Actors.Runners;

namespace Runtara.Runner;

/// <summary>Puts the runner into the actor system.</summary>
public static class RunnerHosting
{
    /// <summary>
    /// Starts the runner of this node as <c>/user/runner</c>, found in the registry as <see cref="RunnerActor"/>. Door,
    /// inputs, images and, if there, clock and logging come from the services.
    /// </summary>
    /// <param name="builder">The actor system's builder.</param>
    /// <param name="options">The settings.</param>
    /// <param name="instances">Finds the instance region; called when the runner starts.</param>
    public static AkkaConfigurationBuilder AddRunner(
        this AkkaConfigurationBuilder builder, RunnerOptions options, Func<IActorRegistry, IActorRef> instances) =>
        builder.WithActors((system, registry, resolver) =>
        {
            var props = RunnerActor.Props(
                options, instances(registry), resolver.GetService<IInstanceDoor>(),
                resolver.GetService<IInstanceInputs>(), resolver.GetService<IImageStore>(),
                resolver.GetService<TimeProvider>() ?? TimeProvider.System, resolver.GetService<ILoggerFactory>());
            registry.Register<RunnerActor>(system.ActorOf(props, "runner"));
        });
}
