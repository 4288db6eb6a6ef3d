using System.Collections.Concurrent;
using System.Net;
using Akka.Actor;
using Akka.Cluster.Hosting;
using Akka.Configuration;
using Akka.Hosting;
using Akka.Remote.Hosting;
using Google.Protobuf;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Actors.Wakes;
using Runtara.Edge.Environments;
using Runtara.Edge.Instances;
using Runtara.Persistence;
using Runtara.Protocol;
using Runtara.Quic;
using Runtara.Testing.Postgres;
using Wire = Runtara.Protocol.Environments;

namespace Runtara.Edge.Tests.Harness;

/// <summary>
/// Everything of the daemon but its containers: store, actors, sockets, QUIC. Limits are small. On SQLite here, on
/// PostgreSQL in <see cref="PostgresEdgeHost"/>.
/// </summary>
public class EdgeHost : IAsyncLifetime
{
    public const string Tenant = "acme";

    private readonly string _directory = Directory.CreateTempSubdirectory("runtara-edge-").FullName;
    private readonly ConcurrentQueue<RunnerCommand> _commands = new();
    private Store _store = null!;
    private QuicCertificate _certificate = null!;
    private IHost _host = null!;
    private IActorRef _region = null!;
    private InstanceGate _gate = null!;
    private QuicServer _instances = null!;
    private QuicServer _environments = null!;
    private int _names;

    public EdgeOptions Options { get; } = new()
    {
        CheckpointBytesMax = 1000,
        EventBytesMax = 2000,
        SignalBytesMax = 2000,
        OutputBytesMax = 3000,
        InputBytesMax = 2000,
        ImageBytesMax = 3_000_000,
        MetadataBytesMax = 1_100_000,
        PageBytesMax = 4000,
        MetricsBucketsMax = 100,
        SleepMax = TimeSpan.FromHours(1),
        Frames = new FrameLimits { StallTimeout = TimeSpan.FromSeconds(3) },
    };

    internal FrameBudget Frames { get; } = new(512L << 20);

    public string DirectoryPath => _directory;

    internal RecordingCapabilities Capabilities { get; } = new();

    internal UnixDoor Door { get; private set; } = null!;

    internal InstanceGate Gate => _gate;

    /// <summary>A client of the environment protocol.</summary>
    internal QuicClient<Wire.RpcRequest, Wire.RpcResponse> Environment { get; private set; } = null!;

    /// <summary>The id of an image of <see cref="Tenant"/>.</summary>
    internal string Image { get; private set; } = null!;

    public string NewName(string prefix = "i") => $"{prefix}-{Interlocked.Increment(ref _names)}";

    /// <summary>The URL of a database of its own.</summary>
    protected virtual Task<string> CreateDatabaseAsync() => Task.FromResult($"sqlite:{_directory}/store.db");

    /// <summary>The URL of another database, empty.</summary>
    internal virtual Task<string> NewDatabaseAsync() => Task.FromResult($"sqlite:{_directory}/{NewName("other")}.db");

    /// <summary>Runs a statement in a database, past the store.</summary>
    internal virtual async Task ExecuteAsync(string url, string sql)
    {
        await using var connection = new SqliteConnection($"Data Source={url["sqlite:".Length..]}");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }

    public async Task InitializeAsync()
    {
        var time = TimeProvider.System;
        _store = await Store.OpenAsync(
            new StoreOptions { DatabaseUrl = await CreateDatabaseAsync(), DataDirectory = _directory }, default);
        _host = new HostBuilder().ConfigureServices(s => s.AddAkka("edge", akka => Compose(akka, time))).Build();
        await _host.StartAsync();
        _region = await _host.Services.GetRequiredService<IRequiredActor<InstanceRegion>>().GetAsync();
        _gate = new InstanceGate(_region, Options, time);
        var requests = NewInstanceRequests(_gate, Options);
        Door = new UnixDoor(requests, Options, Frames, time, NullLogger<UnixDoor>.Instance);
        _certificate = QuicCertificate.LoadOrCreateSelfSigned(_directory);
        _instances = new InstanceQuicServer(
            await ListenAsync(), requests, Options, Frames, time, NullLogger.Instance);
        _environments = await NewEnvironmentServerAsync(Options);
        _instances.Start();
        _environments.Start();
        Environment = new(_environments.Listener.LocalEndPoint, Wire.RpcResponse.Parser);
        Image = await RegisterImageAsync(Tenant, "image");
    }

    private void Compose(AkkaConfigurationBuilder akka, TimeProvider time)
    {
        using var reader = new StreamReader(typeof(EdgeHost).Assembly.GetManifestResourceStream("akka.conf")!);
        akka
            .AddHocon(ConfigurationFactory.ParseString(reader.ReadToEnd()), HoconAddMode.Prepend)
            .WithRemoting("127.0.0.1", 0)
            .WithClustering(new ClusterOptions())
            .AddRuntaraJournal(_store)
            .AddInstances(
                new InstanceSettings { CheckpointsMax = 50, SnapshotEvery = 3 }, new WakeSettings(), _store,
                region => Props.Create(typeof(RecordingRunner), region, _commands), time)
            .AddStartup((system, _) =>
            {
                var cluster = Akka.Cluster.Cluster.Get(system);
                return cluster.JoinAsync(cluster.SelfAddress);
            });
    }

    /// <summary>Another server of the environment protocol; not started, and the caller's to dispose.</summary>
    internal async Task<QuicServer> NewEnvironmentServerAsync(EdgeOptions options)
    {
        var time = TimeProvider.System;
        return new EnvironmentQuicServer(
            await ListenAsync(), NewEnvironmentRequests(_gate, options), options, Frames, time, NullLogger.Instance);
    }

    /// <summary>Another server of the instance protocol; not started, and the caller's to dispose.</summary>
    internal Task<QuicServer> NewInstanceServerAsync(EdgeOptions options) =>
        NewInstanceServerAsync(NewInstanceRequests(_gate, options), options);

    internal async Task<QuicServer> NewInstanceServerAsync(InstanceRequests requests, EdgeOptions options) =>
        new InstanceQuicServer(
            await ListenAsync(), requests, options, Frames, TimeProvider.System, NullLogger.Instance);

    /// <summary>The requests of workflows, with another gate or store than those of the doors.</summary>
    internal InstanceRequests NewInstanceRequests(InstanceGate gate, EdgeOptions options, Store? store = null) =>
        new(gate, (store ?? _store).Catalog, options, TimeProvider.System, NullLogger.Instance);

    /// <summary>The requests of clients, with another gate or store than those of the door.</summary>
    internal EnvironmentRequests NewEnvironmentRequests(
        InstanceGate gate, EdgeOptions options, Store? store = null) => new(
        gate, (store ?? _store).Catalog, (store ?? _store).Images, Capabilities, options, TimeProvider.System,
        NullLogger.Instance);

    /// <summary>A way to the instances on which only what passes arrives; nobody answers the rest.</summary>
    internal InstanceGate NewGate(EdgeOptions options, Func<InstanceCommand, bool> passes) => new(
        _host.Services.GetRequiredService<ActorSystem>().ActorOf(
            Props.Create(typeof(DeafRegion), _region, passes)),
        options, TimeProvider.System);

    private ValueTask<QuicListener> ListenAsync() => QuicListener.ListenAsync(
        new QuicServerOptions { Listen = new IPEndPoint(IPAddress.Loopback, 0), Certificate = _certificate });

    internal QuicClient<Protocol.Instances.RpcRequest, Protocol.Instances.RpcResponse> InstanceClient() =>
        new(_instances.Listener.LocalEndPoint, Protocol.Instances.RpcResponse.Parser);

    internal async Task<string> RegisterImageAsync(string tenant, string name)
    {
        var response = await Environment.CallAsync(new Wire.RpcRequest
        {
            RegisterImage = new()
            {
                TenantId = tenant, Name = name, Binary = ByteString.CopyFrom(Executables.Static(NewName("binary"))),
            },
        });
        Assert.True(response!.RegisterImage?.Success, response.ToString());
        return response.RegisterImage!.ImageId;
    }

    /// <summary>Starts an instance of the image and waits for its launch.</summary>
    internal async Task<string> LaunchAsync()
    {
        var id = NewName("started");
        var response = await Environment.CallAsync(new Wire.RpcRequest
        {
            StartInstance = new() { ImageId = Image, TenantId = Tenant, InstanceId = id },
        });
        Assert.True(response!.StartInstance?.Success, response.ToString());
        await LaunchedAsync(id, 1);
        return id;
    }

    internal Task LaunchedAsync(string instance, int attempt) => Eventually.HoldsAsync(
        () => CommandsOf(instance).Any(c => c is RunnerCommand.Launch && c.Attempt.Number == attempt));

    internal IEnumerable<RunnerCommand> CommandsOf(string instance) =>
        _commands.Where(c => c.Instance.Value == instance);

    /// <summary>The container of this attempt dies.</summary>
    internal void Kill(string instance, int attempt) =>
        _region.Tell(RecordingRunner.Killed(new InstanceId(instance), new Attempt(attempt)));

    /// <summary>The requests of workflows, and what they ask instances.</summary>
    internal (ConcurrentQueue<InstanceCommand> Asked, InstanceRequests Requests) NewRequests()
    {
        var asked = new ConcurrentQueue<InstanceCommand>();
        var region = _host.Services.GetRequiredService<ActorSystem>().ActorOf(
            Props.Create(typeof(RecordingRegion), _region, asked));
        return (asked, NewInstanceRequests(new InstanceGate(region, Options, TimeProvider.System), Options));
    }

    /// <summary>The launch of this attempt fails.</summary>
    internal void FailLaunch(string instance, int attempt, string error) =>
        _region.Tell(new InstanceCommand.LaunchFailed(new InstanceId(instance), new Attempt(attempt), error));

    public virtual async Task DisposeAsync()
    {
        await Environment.DisposeAsync();
        await _environments.DisposeAsync();
        await _instances.DisposeAsync();
        await _host.StopAsync();
        _host.Dispose();
        _gate.Dispose();
        await _store.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}

[CollectionDefinition(Name)]
public sealed class EdgeCollection : ICollectionFixture<EdgeHost>
{
    public const string Name = "edge";
}

/// <summary>The same on PostgreSQL.</summary>
public sealed class PostgresEdgeHost : EdgeHost
{
    private PostgresServer? _server;
    private string _database = "";

    /// <summary>Runs a statement beside the store and returns its first value.</summary>
    public Task<object?> ExecuteAsync(string sql) => _server!.ExecuteAsync(_database, sql);

    protected override async Task<string> CreateDatabaseAsync()
    {
        _server = await PostgresServer.StartAsync();
        var url = await _server.CreateDatabaseAsync();
        _database = new Uri(url).AbsolutePath.TrimStart('/');
        return url;
    }

    internal override Task<string> NewDatabaseAsync() => _server!.CreateDatabaseAsync();

    internal override Task ExecuteAsync(string url, string sql) =>
        _server!.ExecuteAsync(new Uri(url).AbsolutePath.TrimStart('/'), sql);

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        if (_server is not null)
            await _server.DisposeAsync();
    }
}

[CollectionDefinition(Name)]
public sealed class PostgresEdgeCollection : ICollectionFixture<PostgresEdgeHost>
{
    public const string Name = "edge on PostgreSQL";
}
