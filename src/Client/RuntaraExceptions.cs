namespace Runtara.Client;

/// <summary>A request did not lead to what was asked for. Its message is followed by what to do about it.</summary>
/// <param name="code">The server's <c>RpcError</c> code, or one of the codes that the subclasses name.</param>
/// <param name="message">What happened.</param>
/// <param name="remedy">What to do about it; null when nothing better than the message is known.</param>
/// <param name="cause">What it came from.</param>
public class RuntaraException(string code, string message, string? remedy = null, Exception? cause = null)
    : Exception(message, cause)
{
    /// <summary>What kind of failure, for programs.</summary>
    public string Code { get; } = code;

    /// <summary>What to do about it, for people.</summary>
    public string? Remedy { get; } = remedy;
}

/// <summary>The options do not say enough, or contradict each other. Code <c>CONFIGURATION</c>.</summary>
public sealed class RuntaraConfigurationException(string message, string remedy, Exception? cause = null)
    : RuntaraException("CONFIGURATION", message, remedy, cause);

/// <summary>The server cannot be reached, or the connection broke. Code <c>CONNECTION</c>.</summary>
public sealed class RuntaraConnectionException(string message, string remedy, Exception? cause = null)
    : RuntaraException("CONNECTION", message, remedy, cause);

/// <summary>No reply in time. Code <c>TIMEOUT</c>.</summary>
public sealed class RuntaraTimeoutException(string message, string remedy, Exception? cause = null)
    : RuntaraException("TIMEOUT", message, remedy, cause);

/// <summary>The request does not fit into a frame, 64 MiB; nothing was sent. Code <c>TOO_LARGE</c>.</summary>
public sealed class RequestTooLargeException(string message, Exception? cause = null)
    : RuntaraException("TOO_LARGE", message, null, cause);

/// <summary>An instance was not final by the deadline of a wait. Code <c>DEADLINE</c>.</summary>
public sealed class WaitDeadlineException(string message, string remedy)
    : RuntaraException("DEADLINE", message, remedy);

/// <summary>There is no such image for this tenant. Code <c>IMAGE_NOT_FOUND</c>.</summary>
public sealed class ImageNotFoundException(string message) : RuntaraException(
    "IMAGE_NOT_FOUND", message, "List the tenant's images for their ids; another tenant's image counts as missing.");

/// <summary>There is no such instance. Code <c>INSTANCE_NOT_FOUND</c>.</summary>
public sealed class InstanceNotFoundException(string message) : RuntaraException(
    "INSTANCE_NOT_FOUND", message, "List the instances for their ids.");
