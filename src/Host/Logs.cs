using Microsoft.Extensions.Logging;

namespace Runtara.Daemon;

/// <summary>The log lines of the daemon's own parts.</summary>
internal static partial class Logs
{
    [LoggerMessage(1, LogLevel.Information,
        "retention: {Instances} instances that ended long ago are removed, with all they had")]
    internal static partial void InstancesRemoved(this ILogger log, int instances);

    [LoggerMessage(2, LogLevel.Information, "retention: {Directories} run directories are removed")]
    internal static partial void RunDirectoriesRemoved(this ILogger log, int directories);

    [LoggerMessage(3, LogLevel.Warning, "retention: run directory {Directory} cannot be removed: {Problem}")]
    internal static partial void RunDirectoryStays(this ILogger log, string directory, string problem);

    [LoggerMessage(4, LogLevel.Warning, "retention: {What} cannot be removed now; tried again in {Interval}")]
    internal static partial void RetentionFailed(this ILogger log, Exception cause, string what, TimeSpan interval);

    [LoggerMessage(5, LogLevel.Warning,
        "the certificate '{File}' (runtara.quic.certificate) has expired at {NotAfter:u}: clients that check it refuse "
            + "to connect; renew it and start the daemon again")]
    internal static partial void CertificateExpired(this ILogger log, string file, DateTimeOffset notAfter);

    [LoggerMessage(6, LogLevel.Warning, "{Warning}")]
    internal static partial void WarnedOfConfiguration(this ILogger log, string warning);
}
