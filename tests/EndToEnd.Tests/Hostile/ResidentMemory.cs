using System.Diagnostics;
using Runtara.EndToEnd.Tests.Harness;

namespace Runtara.EndToEnd.Tests.Hostile;

/// <summary>The resident memory of a daemon that nobody disturbs.</summary>
internal static class ResidentMemory
{
    // Longer than the daemon waits before it gives the memory of a burst back.
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(8);

    /// <summary>
    /// The lowest value of some seconds. Not the one that stays: the collector lets young objects grow to its budget,
    /// some twenty MiB, with or without a storm before.
    /// </summary>
    public static async Task<long> LowestAsync(DaemonProcess daemon)
    {
        var lowest = daemon.MemoryBytes;
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < Window)
        {
            await Eventually.PauseAsync();
            lowest = Math.Min(lowest, daemon.MemoryBytes);
        }
        return lowest;
    }
}
