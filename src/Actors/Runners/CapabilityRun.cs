using Runtara.Actors.Images;
using Runtara.Actors.Instances;

namespace Runtara.Actors.Runners;

/// <summary>
/// Runs the program of an image once, for an answer and not for an instance: nothing of it is journaled, listed or
/// tried again. It takes a place among the node's containers like everything else.
/// </summary>
public interface ICapabilityRunner
{
    /// <summary>
    /// Runs the program and returns when nothing of it is left. Cancelling stops it, and then throws.
    /// </summary>
    ValueTask<CapabilityOutcome> RunAsync(CapabilityTest test, CancellationToken cancellation);
}

/// <summary>What to run.</summary>
/// <param name="Tenant">On whose behalf: its turn in the queue, its run directory.</param>
/// <param name="Image">The image.</param>
/// <param name="ImageSha256">The SHA-256 of its bytes.</param>
/// <param name="Input">The bytes of <c>input.json</c>.</param>
/// <param name="Timeout">How long it may take in all: waiting for a place, coming up, running.</param>
public sealed record CapabilityTest(
    TenantId Tenant, ImageId Image, string ImageSha256, ReadOnlyMemory<byte> Input, TimeSpan Timeout);

/// <summary>How a run ended.</summary>
public abstract record CapabilityOutcome
{
    private CapabilityOutcome()
    {
    }

    /// <summary>The program ended, by itself or by the timeout.</summary>
    /// <param name="Report">How.</param>
    /// <param name="TimedOut">Whether it was stopped because its time was up.</param>
    /// <param name="Took">From the launch to the end.</param>
    public sealed record Exited(ExitReport Report, bool TimedOut, TimeSpan Took) : CapabilityOutcome;

    /// <summary>The container could not be started.</summary>
    public sealed record NotStarted(string Error) : CapabilityOutcome;

    /// <summary>The time was up before there was a place for it.</summary>
    public sealed record NoPlace : CapabilityOutcome;
}
