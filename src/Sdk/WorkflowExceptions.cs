namespace Runtara.Sdk;

/// <summary>The daemon refused a request, or the workflow broke a rule of the SDK.</summary>
/// <param name="code">The daemon's <c>RpcError</c> code, or one of the constants here.</param>
/// <param name="message">What happened.</param>
/// <param name="cause">What it came from.</param>
public class WorkflowException(string code, string message, Exception? cause = null) : Exception(message, cause)
{
    /// <summary>A required environment variable is missing.</summary>
    public const string NotConfigured = "NOT_CONFIGURED";

    /// <summary>A key is used by two steps, sleeps or waits at the same time.</summary>
    public const string KeyInUse = "KEY_IN_USE";

    /// <summary>Saved bytes, or the input, are not what the workflow's code expects.</summary>
    public const string NotDecodable = "NOT_DECODABLE";

    /// <summary>A result, an event or an output does not fit into one frame, 64 MiB.</summary>
    public const string TooLarge = "TOO_LARGE";

    /// <summary>The daemon answered with something else than the request asks for.</summary>
    public const string UnexpectedReply = "UNEXPECTED_REPLY";

    /// <summary>The daemon answered that the event was not accepted.</summary>
    public const string EventRefused = "EVENT_REFUSED";

    /// <summary>What kind of failure: the daemon's <c>RpcError</c> code, or one of the constants here.</summary>
    public string Code { get; } = code;
}

/// <summary>
/// The instance was cancelled. Let it pass: once the workflow has unwound, the SDK confirms and ends the process.
/// </summary>
public sealed class WorkflowCancelledException() : OperationCanceledException("The instance was cancelled.");

/// <summary>
/// The instance was paused. Let it pass: once the workflow has unwound, the SDK reports it suspended and ends the
/// process; after a resume the workflow runs again and skips what it has saved.
/// </summary>
public sealed class WorkflowPausedException() : OperationCanceledException("The instance was paused.");

/// <summary>The daemon stayed away for longer than <see cref="WorkflowOptions.ReconnectTimeout"/>. Let it pass: the
/// process ends without a result, and the daemon launches the instance again when it is back.</summary>
/// <param name="message">What was tried, for how long, and where.</param>
/// <param name="cause">How the last try failed.</param>
public sealed class DaemonLostException(string message, Exception? cause) : IOException(message, cause);

/// <summary>Exit codes of <c>Workflow.RunAsync</c>.</summary>
public static class WorkflowExitCode
{
    /// <summary>A result, a cancellation or a suspension was reported.</summary>
    public const int Reported = 0;

    /// <summary>The workflow failed and that was reported, or the daemon did not accept its result.</summary>
    public const int Failed = 1;

    /// <summary>The workflow never began: options missing, or the daemon refused to register it.</summary>
    public const int NotRegistered = 2;

    /// <summary>The daemon went away for good; nothing was reported.</summary>
    public const int DaemonLost = 3;

    /// <summary>Ended by SIGTERM while no cancel was pending; nothing was reported.</summary>
    public const int Terminated = 143;
}
