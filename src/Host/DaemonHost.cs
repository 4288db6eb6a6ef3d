using Akka.Actor;
using System.Runtime.InteropServices;
using Akka.Cluster.Hosting;
using Akka.Hosting;
using Akka.Remote.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Runtara.Actors.Instances;
using Runtara.Daemon.Configuration;
using Runtara.Daemon.Retention;
using Runtara.Edge.Environments;
using Runtara.Edge.Instances;
using Runtara.Persistence;
using Runtara.Quic;
using Runtara.Runner;
using Runtara.Runner.Capabilities;

namespace Runtara.Daemon;

/// <summary>
/// Puts the daemon together: store, actors, doors, health. One composition, alone or in a cluster (D10).
/// </summary>
internal static class DaemonHost
{
    /// <summary>Runs until a signal or <paramref name="cancellation"/>; returns the exit code.</summary>
    public static async Task<int> RunAsync(DaemonConfiguration configuration, CancellationToken cancellation)
    {
        var options = configuration.Options;
        // The host listens for signals too, but only from its own start on; opening the store may take minutes.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var terminate = StopOn(PosixSignal.SIGTERM, stop);
        using var interrupt = StopOn(PosixSignal.SIGINT, stop);
        try
        {
            using var alone = DataDirectory.Take(options.DataDirectory);
            // Now, and not when the doors open: what cannot be served is not begun.
            Doors.CheckOwnCertificate(options);
            using var logs = LoggerFactory.Create(logging => ConfigureLogging(logging, options));
            await using var store = await Store.OpenAsync(
                options.Store with { Logger = logs.CreateLogger("Runtara.Persistence") }, stop.Token);
            await using var app = Build(configuration, store);
            await app.RunAsync(stop.Token);
            return ExitCodes.Ok;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Told to stop before the start was over.
            return ExitCodes.Ok;
        }
        catch (Exception e) when (e is StoreUnavailableException or FormatException or IOException
                                      or System.Data.Common.DbException or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync($"runtarad: cannot run: {e.Message}");
            return ExitCodes.Failed;
        }
    }

    private static PosixSignalRegistration StopOn(PosixSignal signal, CancellationTokenSource stop) =>
        PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            _ = stop.CancelAsync();
        });

    private static WebApplication Build(DaemonConfiguration configuration, Store store)
    {
        var options = configuration.Options;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k => k.Listen(options.HealthListen));
        builder.Services.AddRoutingCore();
        ConfigureLogging(builder.Logging, options);
        builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = options.Edge.StopGrace + StopTime(options));
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton(options);
        builder.Services.AddSingleton(store);
        builder.Services.AddSingleton(store.Catalog);
        builder.Services.AddSingleton(store.Images);
        builder.Services.AddSingleton(options.Edge);
        builder.Services.AddSingleton<Doors>();
        builder.Services.AddAkka("runtara", (akka, services) => Compose(akka, services, configuration, store));
        builder.Services.AddHostedService(services => services.GetRequiredService<Doors>());
        builder.Services.AddHostedService<IdleMemory>();
        builder.Services.AddSingleton<RetentionService>();
        builder.Services.AddHostedService(services => services.GetRequiredService<RetentionService>());
        var app = builder.Build();
        app.MapHealth();
        return app;
    }

    private static void ConfigureLogging(ILoggingBuilder logging, DaemonOptions options)
    {
        logging.AddSimpleConsole(o =>
        {
            o.SingleLine = true;
            o.UseUtcTimestamp = true;
            o.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
        });
        // Standard output is for the ready line and for --check.
        logging.Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(
            o => o.LogToStandardErrorThreshold = LogLevel.Trace);
        logging.SetMinimumLevel(LogLevels.Parse(options.LogLevel)!.Value);
        logging.AddFilter("Microsoft", LogLevel.Warning);
        // What stops a start is thrown to us too, and is the last line of standard error.
        logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
    }

    private static void Compose(
        AkkaConfigurationBuilder akka, IServiceProvider services, DaemonConfiguration configuration, Store store)
    {
        var options = configuration.Options;
        var time = services.GetRequiredService<TimeProvider>();
        akka
            .AddHocon(configuration.Akka, HoconAddMode.Prepend)
            // The runner ends its containers, or leaves them, in this phase; the default of 10 s may be too short.
            .AddHocon(
                "akka.coordinated-shutdown.phases.actor-system-terminate.timeout = "
                    + $"{StopTime(options).TotalMilliseconds:0}ms",
                HoconAddMode.Append)
            .ConfigureLoggers(loggers =>
            {
                loggers.ClearLoggers();
                loggers.AddLoggerFactory();
            })
            // A cluster of one: the same path as many, on a port that only this process uses.
            .WithRemoting("127.0.0.1", 0)
            .WithClustering(new ClusterOptions())
            .AddRuntaraJournal(store)
            .AddInstances(
                options.Instances, options.Wakes, store,
                region => ComposeRunner(region, services, RunnerOf(options), store),
                time)
            .AddStartup((system, _) =>
            {
                var cluster = Akka.Cluster.Cluster.Get(system);
                return cluster.JoinAsync(cluster.SelfAddress);
            });
    }

    private static Props ComposeRunner(
        IActorRef region, IServiceProvider services, RunnerOptions options, Store store)
    {
        var time = services.GetRequiredService<TimeProvider>();
        var doors = services.GetRequiredService<Doors>();
        var logs = services.GetRequiredService<ILoggerFactory>();
        var tests = new CapabilityRuns(
            options, store, doors.OfRunDirectories(region), time, logs.CreateLogger("Runtara.Runner"));
        doors.Capabilities = tests;
        return ReportRouter.Props(
            tests, region, reports => RunnerActor.Props(options, reports, tests, tests, store.Images, time, logs));
    }

    // Containers have their grace, and then the runner has to kill what is left, and to close doors.
    private static TimeSpan StopTime(DaemonOptions options) => options.Runner.StopGrace + TimeSpan.FromSeconds(20);

    private static RunnerOptions RunnerOf(DaemonOptions options) => options.Runner with
    {
        DataDirectory = options.DataDirectory,
        KeptNames = options.KeptNames,
        ServerAddress = options.InstanceAdvertise.Length > 0
            ? options.InstanceAdvertise
            : options.InstanceListen.ToString(),
    };
}
