using System.Diagnostics;

namespace Runtara.Edge.Tests.Harness;

/// <summary>Conditions that nothing signals: asked again until they hold.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Within = TimeSpan.FromSeconds(30);

    public static async Task<T> IsAsync<T>(Func<Task<T>> ask, Func<T, bool> fits)
    {
        var clock = Stopwatch.StartNew();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (true)
        {
            var value = await ask();
            if (fits(value))
                return value;
            if (clock.Elapsed > Within)
                throw new TimeoutException($"not within {Within.TotalSeconds:0} s; the last seen: {value}");
            await timer.WaitForNextTickAsync();
        }
    }

    public static Task HoldsAsync(Func<bool> condition) => IsAsync(() => Task.FromResult(condition()), held => held);
}
