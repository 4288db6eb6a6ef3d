using Akka.Actor;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Akka.Cluster.Hosting;
using Akka.Hosting;
using Akka.Remote.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
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
        using var quit = StopOn(PosixSignal.SIGQUIT, stop);
        try
        {
            using var alone = DataDirectory.Take(options.DataDirectory);
            // Now, and not when the doors open: what cannot be served is not begun.
            Doors.CheckOwnCertificate(options);
            using var health = BindHealth(options);
            using var logs = LoggerFactory.Create(logging => ConfigureLogging(logging, options));
            foreach (var warning in configuration.Warnings)
                logs.CreateLogger("Runtara.Daemon").WarnedOfConfiguration(warning);
            await using var store = await Store.OpenAsync(
                options.Store with { Logger = logs.CreateLogger("Runtara.Persistence") }, stop.Token);
            await using var app = Build(configuration, store, health);
            return await RunAsync(app, store, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Told to stop before the start was over.
            return ExitCodes.Ok;
        }
        catch (Exception e)
        {
            if (LogLevels.Parse(options.LogLevel) == LogLevel.Debug)
                await Console.Error.WriteLineAsync(e.ToString());
            await Console.Error.WriteLineAsync($"runtarad: cannot run: {InOneLine(e)}");
            return ExitCodes.Failed;
        }
    }

    private static string InOneLine(Exception e)
    {
        while (e is AggregateException { InnerExceptions: [var only] })
            e = only;
        var line = string.Join("; ", e.Message.Split('\n', StringSplitOptions.TrimEntries));
        // Whose text says where and why by itself.
        return e is StoreUnavailableException or DatabaseOwnedException or FormatException
            or (IOException and not FileNotFoundException) or System.Data.Common.DbException
            or UnauthorizedAccessException
            ? line
            : $"{line} (log-level=debug shows where)";
    }

    /// <summary>Runs a built daemon; returns the exit code.</summary>
    /// <param name="app">The daemon.</param>
    /// <param name="store">Its store.</param>
    /// <param name="stop">Tells it to stop; when it ends otherwise, it has failed.</param>
    internal static async Task<int> RunAsync(WebApplication app, Store store, CancellationToken stop)
    {
        var (running, lost) = (app.RunAsync(stop), store.Lost);
        if (await Task.WhenAny(running, lost) == lost)
        {
            // What is being logged is written first: the last line says why.
            app.Services.GetRequiredService<ILoggerFactory>().Dispose();
            await Console.Error.WriteLineAsync($"runtarad: cannot go on: {await lost}");
            // At once, as a crash would: it loses nothing, and while a stop in order takes its time, a container could
            // be launched that the other daemon has launched already.
            Environment.Exit(ExitCodes.Failed);
        }
        await running;
        if (stop.IsCancellationRequested)
            return ExitCodes.Ok;
        await Console.Error.WriteLineAsync(
            "runtarad: cannot go on: a part of the daemon has ended by itself; the lines above say which and why");
        return ExitCodes.Failed;
    }

    // First of all, because it is the last to be served, and by then containers run.
    private static Socket BindHealth(DaemonOptions options)
    {
        try
        {
            return SocketTransportOptions.CreateDefaultBoundListenSocket(options.HealthListen);
        }
        catch (SocketException e)
        {
            throw new IOException(
                $"the address {options.HealthListen} (runtara.health.listen) cannot be listened on: {e.Message}", e);
        }
    }

    private static PosixSignalRegistration StopOn(PosixSignal signal, CancellationTokenSource stop) =>
        PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            _ = stop.CancelAsync();
        });

    /// <summary>Puts it together, to serve health on a socket that is bound already.</summary>
    internal static WebApplication Build(DaemonConfiguration configuration, Store store, Socket health)
    {
        var options = configuration.Options;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseSockets(sockets => sockets.CreateBoundListenSocket = _ => health)
            .ConfigureKestrel(k => k.Listen(options.HealthListen));
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
