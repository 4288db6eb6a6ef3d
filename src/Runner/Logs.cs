using Microsoft.Extensions.Logging;

namespace Runtara.Runner;

/// <summary>The log lines of the runner.</summary>
internal static partial class Logs
{
    [LoggerMessage(1, LogLevel.Information, "{Instance} attempt {Attempt}: container {Container} starts")]
    internal static partial void Launching(this ILogger log, string instance, int attempt, string container);

    [LoggerMessage(2, LogLevel.Information, "{Instance} attempt {Attempt}: {Ending}")]
    internal static partial void Exited(this ILogger log, string instance, int attempt, string ending);

    [LoggerMessage(3, LogLevel.Warning, "{Instance} attempt {Attempt}: launch failed: {Error}")]
    internal static partial void LaunchFailed(this ILogger log, string instance, int attempt, string error);

    [LoggerMessage(4, LogLevel.Warning, "{Instance} attempt {Attempt}: result not used: {Problem}")]
    internal static partial void OutputIgnored(this ILogger log, string instance, int attempt, string problem);

    [LoggerMessage(5, LogLevel.Warning, "container {Container} was left running; killed")]
    internal static partial void LeftoverKilled(this ILogger log, string container);

    [LoggerMessage(6, LogLevel.Warning, "image {Sha256} in the cache is damaged; fetched again")]
    internal static partial void ImageDamaged(this ILogger log, string sha256);

    [LoggerMessage(7, LogLevel.Warning,
        "memory, cpu and process limits are not enforced: {Reason}; crun runs with --cgroup-manager=disabled")]
    internal static partial void LimitsNotEnforced(this ILogger log, string reason);

    [LoggerMessage(8, LogLevel.Warning, "{Instance} attempt {Attempt}: cleaning up: {Problem}")]
    internal static partial void CleanupFailed(this ILogger log, string instance, int attempt, string problem);

    [LoggerMessage(9, LogLevel.Information,
        "{Instance} attempt {Attempt}: container {Container} of an earlier daemon; it runs: {Runs}")]
    internal static partial void Adopted(this ILogger log, string instance, int attempt, string container, bool runs);

    [LoggerMessage(10, LogLevel.Information, "image {Sha256}: not used for long, removed from the cache of this node")]
    internal static partial void ImageEvicted(this ILogger log, string sha256);

    [LoggerMessage(11, LogLevel.Warning, "the image cache of this node cannot be cleaned up: {Problem}")]
    internal static partial void EvictionFailed(this ILogger log, string problem);
}
