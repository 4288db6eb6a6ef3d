using Runtara.Actors.Images;
using Runtara.Actors.Instances;

namespace Runtara.Actors.Runners;

/// <summary>What an instance tells the runner of its node. Every message may come twice and is then harmless.</summary>
public abstract record RunnerCommand(InstanceId Instance, Attempt Attempt)
{
    /// <summary>
    /// Asks for a place among the node's containers. Answered by <see cref="InstanceCommand.SlotGranted"/>, at once or
    /// when one is free; tenants take turns.
    /// </summary>
    public sealed record RequestSlot(InstanceId Instance, Attempt Attempt, TenantId Tenant)
        : RunnerCommand(Instance, Attempt);

    /// <summary>Gives a requested or granted slot back without a launch.</summary>
    public sealed record ReleaseSlot(InstanceId Instance, Attempt Attempt) : RunnerCommand(Instance, Attempt);

    /// <summary>
    /// Starts the container, in a granted slot; <see cref="InstanceCommand.ContainerStarted"/> says when it has. Ends
    /// in exactly one of <see cref="InstanceCommand.LaunchFailed"/>, <see cref="InstanceCommand.AttemptVanished"/> (it
    /// was not tried, or not by its own fault cut off) and <see cref="InstanceCommand.ProcessExited"/>; the last is
    /// told again until <see cref="Forget"/>.
    /// </summary>
    public sealed record Launch(
        InstanceId Instance, Attempt Attempt, TenantId Tenant, ImageId Image, string ImageSha256,
        IReadOnlyDictionary<string, string> Environment, string? CheckpointId) : RunnerCommand(Instance, Attempt);

    /// <summary>SIGTERM, then SIGKILL after <paramref name="Grace"/> (zero: SIGKILL at once).</summary>
    public sealed record Stop(InstanceId Instance, Attempt Attempt, TimeSpan Grace) : RunnerCommand(Instance, Attempt);

    /// <summary>
    /// Asks after an attempt that the journal says is live. A runner that supervises it, or took it up from an earlier
    /// daemon, reports its end as after a launch, again if need be. Else it makes sure that its container is dead and
    /// answers <see cref="InstanceCommand.AttemptVanished"/>.
    /// </summary>
    public sealed record Watch(InstanceId Instance, Attempt Attempt, TenantId Tenant)
        : RunnerCommand(Instance, Attempt);

    /// <summary>
    /// The attempt's end is in the journal, or is of no interest: what is kept of it, to be told again, may go.
    /// </summary>
    public sealed record Forget(InstanceId Instance, Attempt Attempt) : RunnerCommand(Instance, Attempt);
}

/// <summary>Asks the runner for a <see cref="RunnerStatus"/>.</summary>
public sealed record GetRunnerStatus
{
    /// <summary>The only one.</summary>
    public static readonly GetRunnerStatus Instance = new();
}

/// <summary>How busy a node is.</summary>
/// <param name="Containers">Attempts that have a container, or are about to.</param>
/// <param name="Waiting">Instances that wait for a slot.</param>
/// <param name="Capacity">The most containers at once.</param>
/// <param name="Problem">Why no container is started now, for operators; null while containers are.</param>
public sealed record RunnerStatus(int Containers, int Waiting, int Capacity, string? Problem);

/// <summary>The words that <c>output.json</c> may have as its <c>status</c>.</summary>
public enum RunOutputStatus
{
    /// <summary>There is a result.</summary>
    Completed,

    /// <summary>There is an error text.</summary>
    Failed,

    /// <summary>Paused at a checkpoint.</summary>
    Suspended,

    /// <summary>Wants to be woken after a time.</summary>
    Sleeping,

    /// <summary>Ended by a cancel signal.</summary>
    Cancelled,
}

/// <summary>The content of <c>output.json</c> (environment protocol §4.3).</summary>
/// <param name="Status">What the program says of its end.</param>
/// <param name="Result">Compact JSON bytes of <c>result</c>; empty when absent.</param>
/// <param name="Error">The text of <c>error</c>.</param>
/// <param name="CheckpointId">The key of <c>checkpoint_id</c>.</param>
/// <param name="WakeAfter">From <c>wake_after_ms</c>.</param>
public sealed record RunOutput(
    RunOutputStatus Status, ReadOnlyMemory<byte> Result, string? Error, string? CheckpointId, TimeSpan? WakeAfter);

/// <summary>How the process of an attempt ended.</summary>
/// <param name="ExitCode">The exit code, when it exited by itself.</param>
/// <param name="Signal">The signal that ended it, else null.</param>
/// <param name="OutOfMemory">Whether the kernel killed it for its memory limit.</param>
/// <param name="StderrTail">The last 4 KiB of its standard error, as text.</param>
/// <param name="Output">Its <c>output.json</c>, when there is one that parses.</param>
/// <param name="MemoryPeakBytes">Peak memory, when known.</param>
/// <param name="CpuMicroseconds">CPU time, when known.</param>
public sealed record ExitReport(
    int? ExitCode, int? Signal, bool OutOfMemory, string StderrTail, RunOutput? Output, long? MemoryPeakBytes,
    long? CpuMicroseconds);

/// <summary>
/// The door through which the process of one attempt talks to us without a network (D7). Implemented by the edge; the
/// runner opens it in the run directory before a launch and disposes it after the exit.
/// </summary>
public interface IInstanceDoor
{
    /// <summary>
    /// Listens on a unix socket at <paramref name="socketPath"/> (replacing a stale one). Requests on it can only be
    /// about this instance and this attempt. The path may be longer than a socket address allows.
    /// </summary>
    ValueTask<IAsyncDisposable> OpenAsync(
        InstanceId instance, TenantId tenant, Attempt attempt, string socketPath, CancellationToken cancellation);
}

/// <summary>Where the runner reads the original input of an instance.</summary>
public interface IInstanceInputs
{
    /// <summary>The input bytes; empty when the instance was started without any.</summary>
    ValueTask<ReadOnlyMemory<byte>> ReadInputAsync(InstanceId instance, CancellationToken cancellation);
}
