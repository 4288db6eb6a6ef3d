using Akka.Actor;
using Akka.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Daemon.Configuration;
using Runtara.Edge;
using Runtara.Edge.Environments;
using Runtara.Edge.Instances;
using Runtara.Persistence;
using Runtara.Protocol;
using Runtara.Quic;

namespace Runtara.Daemon;

/// <summary>
/// The doors of the daemon. They open last, when everything behind them works, and close first.
/// </summary>
internal sealed class Doors(
    DaemonOptions options, Catalog catalog, IImageStore images, IServiceProvider services, TimeProvider time,
    IServer server, IHostApplicationLifetime lifetime, ILoggerFactory logs) : IHostedService
{
    private readonly FrameBudget _frames = new(options.Edge.FramesBytesMax);
    private volatile bool _hasFailed;
    private InstanceGate? _gate;
    private EnvironmentQuicServer? _environment;
    private InstanceQuicServer? _instance;

    /// <summary>What tests capabilities; set with the runner, before the doors open.</summary>
    public ICapabilityRunner Capabilities { get; set; } = null!;

    /// <summary>Whether requests are served.</summary>
    public bool AreOpen { get => field && !_hasFailed; private set; }

    /// <summary>
    /// The sockets in run directories; made before the doors open, because the runner may start first.
    /// </summary>
    public IInstanceDoor OfRunDirectories(IActorRef instances)
    {
        var door = new UnixDoor(
            Requests(Gate(instances)), options.Edge, _frames, time, logs.CreateLogger<UnixDoor>());
        _ = StopAfterAsync(door.Failed);
        return door;
    }

    // Nobody would come in any more, and only a new start opens the door again.
    internal async Task StopAfterAsync(Task<Exception> failure)
    {
        await failure;
        _hasFailed = true;
        lifetime.StopApplication();
    }

    /// <summary>Throws <see cref="QuicException"/> when the self-signed certificate is there and is no good.</summary>
    public static void CheckOwnCertificate(DaemonOptions options)
    {
        var (certificate, key) = (
            Path.Combine(options.DataDirectory, QuicCertificate.CertificateFile),
            Path.Combine(options.DataDirectory, QuicCertificate.KeyFile));
        if (options.CertificateFile.Length > 0 || !File.Exists(certificate) || !File.Exists(key))
            return;
        try
        {
            QuicCertificate.FromPemFiles(certificate, key);
        }
        catch (QuicException e)
        {
            throw new QuicException(
                $"{e.Message}; put it back, or remove both files: the daemon then makes new ones, which clients must "
                + "be given again", 0, e);
        }
    }

    private InstanceGate Gate(IActorRef instances) => _gate ??= new InstanceGate(instances, options.Edge, time);

    private InstanceRequests Requests(InstanceGate gate) =>
        new(gate, catalog, options.Edge, time, logs.CreateLogger("Runtara.Edge"));

    /// <inheritdoc />
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        // Not by the constructor: the actor system that is asked for here needs this object while it starts.
        var region = services.GetRequiredService<IRequiredActor<InstanceRegion>>();
        var gate = Gate(await region.GetAsync(cancellationToken));
        var certificate = options.CertificateFile.Length > 0
            ? QuicCertificate.FromPemFiles(options.CertificateFile, options.CertificateKeyFile)
            : QuicCertificate.LoadOrCreateSelfSigned(options.DataDirectory);
        var log = logs.CreateLogger("Runtara.Edge");
        if (certificate.NotAfter <= time.GetUtcNow())
            log.CertificateExpired(options.CertificateFile, certificate.NotAfter);
        _instance = new InstanceQuicServer(
            await ListenAsync(options.InstanceListen, certificate, cancellationToken),
            Requests(gate), options.Edge, _frames, time, log);
        _environment = new EnvironmentQuicServer(
            await ListenAsync(options.EnvironmentListen, certificate, cancellationToken),
            new EnvironmentRequests(gate, catalog, images, Capabilities, options.Edge, time, log), options.Edge,
            _frames, time, log);
        _ = StopAfterAsync(_instance.Failed);
        _ = StopAfterAsync(_environment.Failed);
        _instance.Start();
        _environment.Start();
        AreOpen = true;
        // Only when the health endpoint listens too: who waits for this line may ask it at once.
        lifetime.ApplicationStarted.Register(() => Console.Out.WriteLine(
            $"runtarad {EnvironmentRequests.Version} ready: environment={_environment.Listener.LocalEndPoint} "
            + $"instance={_instance.Listener.LocalEndPoint} "
            + $"health={server.Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Single()} "
            + $"store={DatabaseUrl.Redact(options.Store.DatabaseUrl)}"));
    }

    private ValueTask<QuicListener> ListenAsync(
        System.Net.IPEndPoint listen, QuicCertificate certificate, CancellationToken cancellation) =>
        QuicListener.ListenAsync(
            new QuicServerOptions
            {
                Listen = listen,
                Certificate = certificate,
                Alpn = options.Alpn,
                IdleTimeout = options.QuicIdleTimeout,
                KeepAlive = options.QuicKeepAlive,
                MaxBidirectionalStreams = options.QuicStreamsMax,
                ConnectionWindowBytes = QuicServerOptions.WindowFor(options.QuicStreamsMax),
                MaxPendingHandshakes = options.QuicHandshakesMax,
                SocketReceiveBufferBytes = checked((int)options.QuicReceiveBuffer),
                SocketSendBufferBytes = checked((int)options.QuicSendBuffer),
            },
            cancellation);

    /// <inheritdoc />
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        AreOpen = false;
        // Together: each may take as long as the grace.
        await Task.WhenAll(
            _environment?.DisposeAsync().AsTask() ?? Task.CompletedTask,
            _instance?.DisposeAsync().AsTask() ?? Task.CompletedTask);
    }
}
