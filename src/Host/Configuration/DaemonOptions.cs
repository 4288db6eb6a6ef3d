using System.Net;
using Runtara.Actors.Instances;
using Runtara.Actors.Wakes;
using Runtara.Daemon.Retention;
using Runtara.Edge;
using Runtara.Persistence;
using Runtara.Quic;
using Runtara.Runner;

namespace Runtara.Daemon.Configuration;

/// <summary>Everything an operator can say, with its defaults. Filled by <see cref="DaemonConfiguration"/>.</summary>
internal sealed class DaemonOptions
{
    /// <summary>Images, run directories, the certificate and (alone) the database.</summary>
    public string DataDirectory { get; set; } = ".data";

    /// <summary>Empty: SQLite in the data directory.</summary>
    public string DatabaseUrl { get; set; } = "";

    /// <summary>Where management clients connect.</summary>
    public IPEndPoint EnvironmentListen { get; set; } = new(IPAddress.Loopback, 8002);

    /// <summary>Where workflows connect that do not use the socket.</summary>
    public IPEndPoint InstanceListen { get; set; } = new(IPAddress.Loopback, 8001);

    /// <summary>The address that workflows are told; empty: the one above.</summary>
    public string InstanceAdvertise { get; set; } = "";

    /// <summary>Where liveness and readiness are served over HTTP.</summary>
    public IPEndPoint HealthListen { get; set; } = new(IPAddress.Loopback, 8003);

    /// <summary>Log level of everything.</summary>
    public string LogLevel { get; set; } = "info";

    /// <summary>Certificate file (PEM); empty: self-signed, kept in the data directory.</summary>
    public string CertificateFile { get; set; } = "";

    /// <summary>Private key file (PEM).</summary>
    public string CertificateKeyFile { get; set; } = "";

    /// <summary>Application protocols that are accepted from clients that offer any.</summary>
    public IReadOnlyList<string> Alpn { get; set; } = ["runtara"];

    /// <summary>Silence that ends a connection.</summary>
    public TimeSpan QuicIdleTimeout { get; set; } = TimeSpan.FromSeconds(120);

    /// <summary>How often a silent connection is pinged.</summary>
    public TimeSpan QuicKeepAlive { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Streams that one connection may have open.</summary>
    public int QuicStreamsMax { get; set; } = 1000;

    /// <summary>Handshakes under way at once.</summary>
    public int QuicHandshakesMax { get; set; } = 10_000;

    /// <summary>The socket's receive buffer.</summary>
    public long QuicReceiveBuffer { get; set; } = 2 << 20;

    /// <summary>The socket's send buffer.</summary>
    public long QuicSendBuffer { get; set; } = 2 << 20;

    /// <summary>The numbers of the semantics.</summary>
    public InstanceSettings Instances { get; set; } = new();

    /// <summary>A saved state with more bytes than this is not kept.</summary>
    public int SnapshotBytesMax { get; set; } = 16 << 20;

    /// <summary>The wakers.</summary>
    public WakeSettings Wakes { get; set; } = new();

    /// <summary>The limits of requests.</summary>
    public EdgeOptions Edge { get; set; } = new();

    /// <summary>The containers; its data directory is set from <see cref="DataDirectory"/>.</summary>
    public RunnerOptions Runner { get; set; } = new() { DataDirectory = ".data" };

    /// <summary>Quiet time after a burst, after which its memory is given back; zero: never.</summary>
    public TimeSpan MemoryQuiet { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How long what has ended is kept.</summary>
    public RetentionOptions Retention { get; set; } = new();

    /// <summary>How long a lost database is waited for before writes fail.</summary>
    public TimeSpan ReconnectTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a start waits for another daemon to let go of the database.</summary>
    public TimeSpan OwnerTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>For tests: of a hundred calls to the database this many fail before, fail after, are late.</summary>
    public int FaultPercent { get; set; }

    /// <summary>Where the faults' sequence of draws begins; 0: anywhere.</summary>
    public int FaultSeed { get; set; }

    /// <summary>Whether <see cref="FaultsVariable"/> agrees to <see cref="FaultPercent"/>.</summary>
    public bool FaultsAllowed { get; set; }

    /// <summary>The variable without which no faults are injected; it must say <c>yes</c>.</summary>
    public const string FaultsVariable = "RUNTARA_INJECT_FAULTS";

    /// <summary>What the store is opened with.</summary>
    public StoreOptions Store => new()
    {
        DatabaseUrl = DatabaseUrl.Length > 0 ? DatabaseUrl : "sqlite:" + Path.Combine(DataDirectory, "runtara.db"),
        DataDirectory = DataDirectory,
        ReconnectTimeout = ReconnectTimeout,
        SnapshotBytesMax = SnapshotBytesMax,
        Alone = true,
        OwnerTimeout = OwnerTimeout,
        Faults = FaultPercent > 0 && FaultsAllowed ? Faults : null,
    };

    /// <summary>The files at the top of the data directory, by name, whether or not they are there now.</summary>
    public IReadOnlyCollection<string> KeptNames =>
    [
        Daemon.DataDirectory.LockFile, .. QuicCertificate.FileNames,
        .. Persistence.DatabaseUrl.FileNames(Store.DatabaseUrl),
    ];

    private FaultOptions Faults => FaultSeed == 0
        ? FaultOptions.AtRate(FaultPercent / 100.0)
        : FaultOptions.AtRate(FaultPercent / 100.0) with { Seed = FaultSeed };
}
