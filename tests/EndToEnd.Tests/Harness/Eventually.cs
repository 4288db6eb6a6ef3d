using System.Diagnostics;

namespace Runtara.EndToEnd.Tests.Harness;

/// <summary>
/// Conditions of another process that nothing signals: asked again until they hold. The clock only bounds the wait.
/// </summary>
internal static class Eventually
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>The first value that fits; fails with the last one when none does in time.</summary>
    public static async Task<T> IsAsync<T>(Func<Task<T>> ask, Func<T, bool> fits, TimeSpan within, string what)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var value = await ask();
            if (fits(value))
                return value;
            if (clock.Elapsed > within)
                throw new TimeoutException($"not within {within.TotalSeconds:0} s: {what}; the last seen: {value}");
            await PauseAsync();
        }
    }

    /// <summary>The pause between two questions to another process.</summary>
    public static async Task PauseAsync()
    {
        using var timer = new PeriodicTimer(Interval);
        await timer.WaitForNextTickAsync();
    }

    /// <summary>Lets real time pass, where its passing is the subject of the test.</summary>
    public static async Task PassAsync(TimeSpan time)
    {
        using var timer = new PeriodicTimer(time);
        await timer.WaitForNextTickAsync();
    }
}
