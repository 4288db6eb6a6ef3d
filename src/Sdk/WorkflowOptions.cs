namespace Runtara.Sdk;

/// <summary>Where a workflow finds its daemon and its input. In a container everything comes from the environment.
/// </summary>
public sealed record WorkflowOptions
{
    /// <summary>Id of the instance. <c>RUNTARA_INSTANCE_ID</c>; required.</summary>
    public required string InstanceId { get; init; }

    /// <summary>Owner of the instance. <c>RUNTARA_TENANT_ID</c>; required.</summary>
    public required string TenantId { get; init; }

    /// <summary>Unix socket of the daemon. <c>RUNTARA_SOCKET</c>; default <c>/data/runtara.sock</c>.</summary>
    public string SocketPath { get; init; } = "/data/runtara.sock";

    /// <summary>File with the input as JSON. Default <c>/data/input.json</c>.</summary>
    public string InputPath { get; init; } = "/data/input.json";

    /// <summary>Folder that all attempts of the instance share. <c>RUNTARA_WORKSPACE_DIR</c>; default
    /// <c>/data/workspace</c>.</summary>
    public string WorkspaceDir { get; init; } = "/data/workspace";

    /// <summary>Number of this launch, from 1. <c>RUNTARA_ATTEMPT</c>; default 1.</summary>
    public int Attempt { get; init; } = 1;

    /// <summary>Key of the checkpoint or sleep after which the daemon launched this attempt, for information.
    /// <c>RUNTARA_CHECKPOINT_ID</c>; null at the first attempt.</summary>
    public string? ResumedFrom { get; init; }

    /// <summary>Time between heartbeats. <c>RUNTARA_HEARTBEAT_INTERVAL_MS</c>; default 30 s, zero for none.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time between signs of work while a step runs beside a sleep; less than the daemon's
    /// <c>sleep.hibernate-idle</c> (2 s), after which it takes a sleeping workflow for idle.
    /// <c>RUNTARA_AWAKE_INTERVAL_MS</c>; default 1 s, zero for none.</summary>
    public TimeSpan AwakeInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Time between looks for a custom signal that the workflow waits for.
    /// <c>RUNTARA_SIGNAL_POLL_INTERVAL_MS</c>; default 1 s.</summary>
    public TimeSpan SignalPollInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a request waits for a daemon that went away, a restart for instance. Default 5 min.</summary>
    public TimeSpan ReconnectTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a connected daemon may take for a reply, sleeps excepted; then the request is sent again on a
    /// new connection. Default 60 s.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Whether SIGTERM asks the daemon what is wanted instead of ending the process at once. Default true.
    /// </summary>
    public bool HandleTermination { get; init; } = true;

    /// <summary>Clock. Default the system's.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Where messages for operators go. Default standard error.</summary>
    public TextWriter Log { get; init; } = Console.Error;

    /// <summary>Reads the options from environment variables; a number that does not parse means its default.</summary>
    /// <param name="variable">Looks a variable up; null for the environment of the process.</param>
    /// <exception cref="WorkflowException">A required variable is missing; code <c>NOT_CONFIGURED</c>.</exception>
    public static WorkflowOptions FromEnvironment(Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        var options = new WorkflowOptions
        {
            InstanceId = Required("RUNTARA_INSTANCE_ID"),
            TenantId = Required("RUNTARA_TENANT_ID"),
            ResumedFrom = Given("RUNTARA_CHECKPOINT_ID"),
        };
        return options with
        {
            SocketPath = Given("RUNTARA_SOCKET") ?? options.SocketPath,
            WorkspaceDir = Given("RUNTARA_WORKSPACE_DIR") ?? options.WorkspaceDir,
            Attempt = int.TryParse(Given("RUNTARA_ATTEMPT"), out var attempt) ? attempt : options.Attempt,
            HeartbeatInterval = Milliseconds("RUNTARA_HEARTBEAT_INTERVAL_MS", options.HeartbeatInterval),
            AwakeInterval = Milliseconds("RUNTARA_AWAKE_INTERVAL_MS", options.AwakeInterval),
            SignalPollInterval = Milliseconds("RUNTARA_SIGNAL_POLL_INTERVAL_MS", options.SignalPollInterval),
        };

        string? Given(string name) => variable(name) is { Length: > 0 } value ? value : null;

        string Required(string name) => Given(name) ?? throw new WorkflowException(
            WorkflowException.NotConfigured,
            $"{name} is not set. A workflow is launched by runtarad; outside of it, set the RUNTARA_ variables.");

        TimeSpan Milliseconds(string name, TimeSpan otherwise) =>
            uint.TryParse(Given(name), out var value) ? TimeSpan.FromMilliseconds(value) : otherwise;
    }
}
