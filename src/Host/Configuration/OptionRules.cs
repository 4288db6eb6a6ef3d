using Runtara.Persistence;

namespace Runtara.Daemon.Configuration;

/// <summary>What must hold between settings, or of one beyond its type.</summary>
internal static class OptionRules
{
    public static IEnumerable<string> Check(DaemonOptions o)
    {
        if (o.DataDirectory.Length == 0)
            yield return "runtara.data-directory: must not be empty";
        if (o.DatabaseUrl.Length > 0 && DatabaseUrl.Problem(o.DatabaseUrl) is { } url)
            yield return $"runtara.database-url: {url}";
        if (o.FaultPercent > 0 && !o.FaultsAllowed)
        {
            yield return "runtara.database.fault-percent: makes requests fail, and is for tests; it also needs "
                + $"{DaemonOptions.FaultsVariable}=yes in the environment";
        }
        if (o.FaultPercent > 40)
            yield return "runtara.database.fault-percent: must be at most 40";
        if (o.InstanceAdvertise.Length > 0 && SettingTypes.HostAndPort(o.InstanceAdvertise) is null or { Port: 0 })
            yield return "runtara.instance.advertise: must be host:port, as workflows can reach it";
        if (o.CertificateFile.Length > 0 != o.CertificateKeyFile.Length > 0)
            yield return "runtara.quic.certificate: needs runtara.quic.certificate-key, and the other way round";
        else if (o.CertificateFile.Length > 0)
        {
            foreach (var problem in CertificateRules.Check(o.CertificateFile, o.CertificateKeyFile))
                yield return problem;
        }
        if (o.Instances.MaxAttempts < 1)
            yield return "runtara.instances.max-attempts: must be at least 1";
        if (o.Instances.SnapshotEvery is > 0 and < 10)
        {
            yield return "runtara.instances.snapshot-every: must be 0 (never) or at least 10: each one writes "
                + "the whole state of an instance";
        }
        if (o.Wakes.Horizon <= o.Wakes.ScanInterval)
            yield return "runtara.wakes.horizon: must be more than runtara.wakes.scan-interval, or wakes are late";
        if (o.Instances.BackoffMax < o.Instances.BackoffMin)
            yield return "runtara.instances.backoff-max: must not be less than runtara.instances.backoff-min";
        if (o.Edge.FramesBytesMax < o.Edge.Frames.PayloadBytesMax)
            yield return "runtara.edge.frames-bytes-max: must not be less than runtara.edge.frame-bytes-max";
        if (o.Edge.Frames.BytesPerSecondMin < 1)
            yield return "runtara.edge.frame-rate-min: must be at least 1 byte a second";
        if (o.Runner.OrphanGrace < TimeSpan.FromMilliseconds(100))
            yield return "runtara.runner.orphan-grace: must be at least 100ms: instances are asked as often";
        if (o.QuicStreamsMax < 1)
            yield return "runtara.quic.streams-max: must be at least 1";
        if (o.QuicHandshakesMax < 1)
            yield return "runtara.quic.handshakes-max: must be at least 1";
        foreach (var protocol in o.Alpn.Where(p => p.Length is 0 or > 255 || !p.All(char.IsAscii)))
            yield return $"runtara.quic.alpn: '{protocol}' is no application protocol: it must be 1 to 255 of ASCII";
        if (o.Retention.Interval > TimeSpan.FromDays(1))
            yield return "runtara.retention.interval: must be at most 1d";
        if (o.Retention.Batch < 1)
            yield return "runtara.retention.batch: must be at least 1";
        if (o.Retention.Rows < 1)
            yield return "runtara.retention.rows: must be at least 1";
        if (o.Retention.Pause > TimeSpan.FromMinutes(1))
            yield return "runtara.retention.pause: must be at most 1 minute: who asks for a removed id waits for it";
        if (LogLevels.Parse(o.LogLevel) is null)
            yield return "runtara.log-level: must be debug, info, warning or error";
    }
}

/// <summary>The words for log levels.</summary>
internal static class LogLevels
{
    public static Microsoft.Extensions.Logging.LogLevel? Parse(string word) => word.ToLowerInvariant() switch
    {
        "debug" => Microsoft.Extensions.Logging.LogLevel.Debug,
        "info" => Microsoft.Extensions.Logging.LogLevel.Information,
        "warning" => Microsoft.Extensions.Logging.LogLevel.Warning,
        "error" => Microsoft.Extensions.Logging.LogLevel.Error,
        _ => null,
    };
}
