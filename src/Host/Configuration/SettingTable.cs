using static Runtara.Daemon.Configuration.SettingTypes;

namespace Runtara.Daemon.Configuration;

/// <summary>
/// Every key that <c>runtara { }</c> may have. The variables are those of Runtara 1.4.1 (environment-protocol §8);
/// the limits are those of the semantics.
/// </summary>
internal static class SettingTable
{
    public static readonly IReadOnlyList<Setting> All =
    [
        Of("data-directory", "DATA_DIR", "images, run directories, certificate, SQLite database", Text,
            o => o.DataDirectory, (o, v) => o.DataDirectory = v),
        Of("database-url", "RUNTARA_DATABASE_URL", "postgres://… or sqlite:<file>; empty: SQLite in data-directory",
            Url,
            o => o.DatabaseUrl, (o, v) => o.DatabaseUrl = v),
        Of("database.reconnect-timeout", null, "how long a lost database is waited for", DurationOrZero,
            o => o.ReconnectTimeout, (o, v) => o.ReconnectTimeout = v),
        Of("database.owner-timeout", null, "how long a start waits for another daemon to let go of the database",
            DurationOrZero, o => o.OwnerTimeout, (o, v) => o.OwnerTimeout = v),
        Of("database.fault-percent", null,
            $"NEVER in production: this many of 100 database calls fail; needs {DaemonOptions.FaultsVariable}=yes",
            Count,
            o => o.FaultPercent, (o, v) => o.FaultPercent = v),
        Of("database.fault-seed", null, "where the draws of fault-percent begin; 0: anywhere, see the log", Count,
            o => o.FaultSeed, (o, v) => o.FaultSeed = v),
        Of("log-level", "RUNTARA_LOG", "debug, info, warning or error", Text,
            o => o.LogLevel, (o, v) => o.LogLevel = v),
        Of("environment.listen", "RUNTARA_ENV_QUIC_PORT", "where management clients connect (UDP)", Port,
            o => o.EnvironmentListen, (o, v) => o.EnvironmentListen = v),
        Of("instance.listen", "RUNTARA_CORE_ADDR",
            "where workflows connect (UDP); a host name goes to instance.advertise",
            EndPoint,
            o => o.InstanceListen, (o, v) => o.InstanceListen = v),
        Of("instance.advertise", null, "RUNTARA_SERVER_ADDR of containers; empty: instance.listen", Text,
            o => o.InstanceAdvertise, (o, v) => o.InstanceAdvertise = v),
        Of("health.listen", "RUNTARA_HEALTH_ADDR", "liveness and readiness over HTTP (TCP)", EndPoint,
            o => o.HealthListen, (o, v) => o.HealthListen = v),
        Of("memory.quiet", null, "quiet after a burst, after which its memory is given back; 0: never",
            DurationOrNever, o => o.MemoryQuiet, (o, v) => o.MemoryQuiet = v),
        .. Quic,
        .. Runner,
        .. Instances,
        .. Edge,
        .. RetentionSettings.All,
    ];

    private static IEnumerable<Setting> Quic =>
    [
        Of("quic.certificate", null, "PEM file; empty: self-signed, kept in data-directory", Text,
            o => o.CertificateFile, (o, v) => o.CertificateFile = v),
        Of("quic.certificate-key", null, "PEM file of the private key", Text,
            o => o.CertificateKeyFile, (o, v) => o.CertificateKeyFile = v),
        Of("quic.alpn", null, "application protocols accepted from clients that offer any", List,
            o => o.Alpn, (o, v) => o.Alpn = v),
        Of("quic.idle-timeout", "RUNTARA_QUIC_IDLE_TIMEOUT_MS", "silence that ends a connection; 0: none",
            Ms(DurationOrNever), o => o.QuicIdleTimeout, (o, v) => o.QuicIdleTimeout = v),
        Of("quic.keep-alive", "RUNTARA_QUIC_KEEP_ALIVE_MS", "how often a silent connection is pinged; 0: never",
            Ms(DurationOrNever), o => o.QuicKeepAlive, (o, v) => o.QuicKeepAlive = v),
        Of("quic.streams-max", "RUNTARA_QUIC_MAX_BI_STREAMS", "streams that one connection may have open", Count,
            o => o.QuicStreamsMax, (o, v) => o.QuicStreamsMax = v),
        Of("quic.handshakes-max", "RUNTARA_QUIC_MAX_INCOMING", "handshakes under way at once", Count,
            o => o.QuicHandshakesMax, (o, v) => o.QuicHandshakesMax = v),
        Of("quic.receive-buffer", "RUNTARA_QUIC_UDP_RECV_BUFFER", "the socket's receive buffer; 0: the system's", Bytes,
            o => o.QuicReceiveBuffer, (o, v) => o.QuicReceiveBuffer = checked((int)v)),
        Of("quic.send-buffer", "RUNTARA_QUIC_UDP_SEND_BUFFER", "the socket's send buffer; 0: the system's", Bytes,
            o => o.QuicSendBuffer, (o, v) => o.QuicSendBuffer = checked((int)v)),
    ];

    private static IEnumerable<Setting> Runner => RunnerSettings.All;

    private static IEnumerable<Setting> Instances =>
    [
        Of("instances.max-attempts", null, "crashes in a row without a new checkpoint that fail an instance", Count,
            o => o.Instances.MaxAttempts, (o, v) => o.Instances = o.Instances with { MaxAttempts = v }),
        Of("instances.backoff-min", null, "pause before the second attempt, doubled for each further one",
            DurationOrZero, o => o.Instances.BackoffMin, (o, v) => o.Instances = o.Instances with { BackoffMin = v }),
        Of("instances.backoff-max", null, "the longest pause between attempts", Duration,
            o => o.Instances.BackoffMax, (o, v) => o.Instances = o.Instances with { BackoffMax = v }),
        Of("instances.stale-after", null, "silence that makes a running attempt stale", Duration,
            o => o.Instances.StaleAfter, (o, v) => o.Instances = o.Instances with { StaleAfter = v }),
        Of("instances.stop-grace", null, "from SIGTERM to SIGKILL after a timeout", DurationOrZero,
            o => o.Instances.StopGrace, (o, v) => o.Instances = o.Instances with { StopGrace = v }),
        Of("instances.leave-within", null, "how long a process may go on after it reported its end", DurationOrZero,
            o => o.Instances.LeaveWithin, (o, v) => o.Instances = o.Instances with { LeaveWithin = v }),
        Of("instances.checkpoints-max", null, "checkpoints of one instance", Count,
            o => o.Instances.CheckpointsMax, (o, v) => o.Instances = o.Instances with { CheckpointsMax = v }),
        Of("instances.sleeps-max", null, "sleeps of one instance, each with a key of its own", Count,
            o => o.Instances.SleepsMax, (o, v) => o.Instances = o.Instances with { SleepsMax = v }),
        Of("instances.custom-signals-max", null, "custom signals that wait under one key of an instance", Count,
            o => o.Instances.CustomSignalsMax, (o, v) => o.Instances = o.Instances with { CustomSignalsMax = v }),
        Of("instances.custom-signals-total-max", null, "custom signals that wait for one instance, under all keys",
            Count,
            o => o.Instances.CustomSignalsTotalMax,
            (o, v) => o.Instances = o.Instances with { CustomSignalsTotalMax = v }),
        Of("instances.snapshot-every", null,
            "events of an instance after which its state is saved, for a short recovery; 0: never", Count,
            o => o.Instances.SnapshotEvery, (o, v) => o.Instances = o.Instances with { SnapshotEvery = v }),
        Of("instances.snapshot-bytes-max", null, "the largest saved state; of a larger one the events are read", Bytes,
            o => o.SnapshotBytesMax, (o, v) => o.SnapshotBytesMax = checked((int)v)),
        Of("sleep.hibernate-after", null, "a sleep with more than this remaining gives up its container",
            DurationOrZero,
            o => o.Instances.HibernateAfter, (o, v) => o.Instances = o.Instances with { HibernateAfter = v }),
        Of("sleep.hibernate-idle", null, "how long a sleeping attempt must have asked for nothing else", DurationOrZero,
            o => o.Instances.HibernateIdle, (o, v) => o.Instances = o.Instances with { HibernateIdle = v }),
        Of("wakes.scan-interval", null, "how often the catalog is asked for due sleepers", Duration,
            o => o.Wakes.ScanInterval, (o, v) => o.Wakes = o.Wakes with { ScanInterval = v }),
        Of("wakes.horizon", null, "how far ahead it is asked", Duration,
            o => o.Wakes.Horizon, (o, v) => o.Wakes = o.Wakes with { Horizon = v }),
        Of("wakes.ensure-interval", null, "how often live instances are called into memory again", Duration,
            o => o.Wakes.EnsureInterval, (o, v) => o.Wakes = o.Wakes with { EnsureInterval = v }),
    ];

    private static IEnumerable<Setting> Edge =>
    [
        Of("edge.frame-bytes-max", null, "the largest frame payload", Bytes,
            o => o.Edge.Frames.PayloadBytesMax,
            (o, v) => o.Edge = o.Edge with { Frames = o.Edge.Frames with { PayloadBytesMax = checked((int)v) } }),
        Of("edge.frame-stall", null, "silence inside a frame that drops the stream", Duration,
            o => o.Edge.Frames.StallTimeout,
            (o, v) => o.Edge = o.Edge with { Frames = o.Edge.Frames with { StallTimeout = v } }),
        Of("edge.frames-bytes-max", null, "large frames kept at once, of all who send some; further ones wait", Bytes,
            o => o.Edge.FramesBytesMax, (o, v) => o.Edge = o.Edge with { FramesBytesMax = v }),
        Of("edge.frame-rate-min", null, "bytes a second as which large frames and replies must move", Bytes,
            o => o.Edge.Frames.BytesPerSecondMin,
            (o, v) => o.Edge = o.Edge with { Frames = o.Edge.Frames with { BytesPerSecondMin = checked((int)v) } }),
        Of("edge.request-timeout", "RUNTARA_DB_REQUEST_TIMEOUT_MS", "how long a request may take", Ms(Duration),
            o => o.Edge.RequestTimeout, (o, v) => o.Edge = o.Edge with { RequestTimeout = v }),
        Of("edge.stop-grace", null, "how long a stopping QUIC server waits for the requests under way", DurationOrZero,
            o => o.Edge.StopGrace, (o, v) => o.Edge = o.Edge with { StopGrace = v }),
        Of("edge.commands-max", "RUNTARA_QUIC_MAX_HANDLERS", "questions to instances under way at once; 0: any",
            Count,
            o => o.Edge.CommandsMax, (o, v) => o.Edge = o.Edge with { CommandsMax = v == 0 ? int.MaxValue : v }),
        Of("edge.checkpoint-bytes-max", null, "the largest checkpoint state", Bytes,
            o => o.Edge.CheckpointBytesMax, (o, v) => o.Edge = o.Edge with { CheckpointBytesMax = checked((int)v) }),
        Of("edge.event-bytes-max", null, "the largest event payload", Bytes,
            o => o.Edge.EventBytesMax, (o, v) => o.Edge = o.Edge with { EventBytesMax = checked((int)v) }),
        Of("edge.key-bytes-max", null,
            "the longest key of a checkpoint, sleep or custom signal, and subtype of an event; at most 2,000",
            Bytes,
            o => o.Edge.KeyBytesMax, (o, v) => o.Edge = o.Edge with { KeyBytesMax = (int)Math.Min(v, 2000) }),
        Of("edge.signal-bytes-max", null, "the largest payload of a signal", Bytes,
            o => o.Edge.SignalBytesMax, (o, v) => o.Edge = o.Edge with { SignalBytesMax = checked((int)v) }),
        Of("edge.stop-grace-max", null, "the longest grace that a stop may ask for", LongDuration,
            o => o.Edge.StopGraceMax, (o, v) => o.Edge = o.Edge with { StopGraceMax = v }),
        Of("edge.reason-length-max", null, "the longest reason of a stop, in characters", Count,
            o => o.Edge.ReasonLengthMax, (o, v) => o.Edge = o.Edge with { ReasonLengthMax = v }),
        Of("edge.description-length-max", null, "the longest description of an image, in characters", Count,
            o => o.Edge.DescriptionLengthMax, (o, v) => o.Edge = o.Edge with { DescriptionLengthMax = v }),
        Of("edge.input-bytes-max", null, "the largest input", Bytes,
            o => o.Edge.InputBytesMax, (o, v) => o.Edge = o.Edge with { InputBytesMax = checked((int)v) }),
        Of("edge.output-bytes-max", null, "the largest output", Bytes,
            o => o.Edge.OutputBytesMax, (o, v) => o.Edge = o.Edge with { OutputBytesMax = checked((int)v) }),
        Of("images.max-bytes", null, "the largest image", Bytes,
            o => o.Edge.ImageBytesMax, (o, v) => o.Edge = o.Edge with { ImageBytesMax = v }),
        Of("images.metadata-bytes-max", null, "the largest metadata of an image", Bytes,
            o => o.Edge.MetadataBytesMax, (o, v) => o.Edge = o.Edge with { MetadataBytesMax = checked((int)v) }),
        Of("edge.sleep-max", null, "the longest sleep", LongDuration,
            o => o.Edge.SleepMax, (o, v) =>
            {
                o.Edge = o.Edge with { SleepMax = v };
                o.Instances = o.Instances with { SleepMax = v };
            }),
        Of("edge.capability-timeout-max", null, "the longest that a test of a capability may take", Duration,
            o => o.Edge.CapabilityTimeoutMax, (o, v) => o.Edge = o.Edge with { CapabilityTimeoutMax = v }),
        Of("edge.page-max", null, "the longest page of a list", Count,
            o => o.Edge.PageMax, (o, v) => o.Edge = o.Edge with { PageMax = Math.Max(1, v) }),
        Of("edge.page-bytes-max", null, "payload bytes in a page of events", Bytes,
            o => o.Edge.PageBytesMax, (o, v) => o.Edge = o.Edge with { PageBytesMax = v }),
        Of("edge.metrics-buckets-max", null, "hours or days in an answer about metrics", Count,
            o => o.Edge.MetricsBucketsMax, (o, v) => o.Edge = o.Edge with { MetricsBucketsMax = v }),
    ];

    internal static Setting Of<T>(
        string key, string? variable, string help, SettingType<T> type, Func<DaemonOptions, T> get,
        Action<DaemonOptions, T> set) => new Setting<T>(key, variable, help, type, get, set);
}
