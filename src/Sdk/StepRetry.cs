namespace Runtara.Sdk;

/// <summary>
/// How often to try a body that throws. Waits double from <see cref="FirstDelay"/> to <see cref="MaxDelay"/>
/// and happen within the process: for long ones use a sleep. A relaunched instance counts from the start.
/// </summary>
/// <param name="Attempts">Tries in all, at least 1.</param>
/// <param name="FirstDelay">Wait after the first failure.</param>
public sealed record StepRetry(int Attempts, TimeSpan FirstDelay)
{
    /// <summary>One try.</summary>
    public static StepRetry None { get; } = new(1, TimeSpan.Zero);

    /// <summary>Longest wait between two tries. Default 60 s.</summary>
    public TimeSpan MaxDelay { get; init; } = TimeSpan.FromSeconds(60);

    internal TimeSpan DelayAfter(int attempt)
    {
        var doubled = FirstDelay.TotalMilliseconds * Math.Pow(2, Math.Min(attempt - 1, 30));
        return TimeSpan.FromMilliseconds(Math.Min(doubled, MaxDelay.TotalMilliseconds));
    }
}
