using Akka.Actor;
using Akka.Cluster.Hosting;
using Akka.Configuration;
using Akka.Hosting;
using Akka.Remote.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Runtara.Actors.Instances;
using Runtara.Actors.Wakes;
using Runtara.Persistence;

namespace Runtara.Bench;

/// <summary>Store and actors as in the daemon, with another runner.</summary>
internal static class ActorsHost
{
    public static IHost Build(Store store, InstanceSettings settings, Func<IActorRef, Props> runner)
    {
        var builder = new HostBuilder();
        builder.ConfigureLogging(logging => logging.SetMinimumLevel(LogLevel.Warning).AddConsole());
        builder.ConfigureServices(services => services.AddAkka("runtara", akka => akka
            .AddHocon(Defaults(), HoconAddMode.Prepend)
            .ConfigureLoggers(loggers =>
            {
                loggers.ClearLoggers();
                loggers.AddLoggerFactory();
            })
            .WithRemoting("127.0.0.1", 0)
            .WithClustering(new ClusterOptions())
            .AddRuntaraJournal(store)
            .AddInstances(settings, new WakeSettings(), store, runner, TimeProvider.System)
            .AddStartup((system, _) =>
            {
                var cluster = Akka.Cluster.Cluster.Get(system);
                return cluster.JoinAsync(cluster.SelfAddress);
            })));
        return builder.Build();
    }

    private static Config Defaults()
    {
        using var stream = typeof(ActorsHost).Assembly.GetManifestResourceStream("akka.conf")!;
        using var reader = new StreamReader(stream);
        return ConfigurationFactory.ParseString(reader.ReadToEnd());
    }
}
