using System.Diagnostics;
using Runtara.EndToEnd.Tests.Harness;

namespace Runtara.EndToEnd.Tests.Hostile;

/// <summary>The resident memory of a daemon that nobody disturbs.</summary>
internal static class ResidentMemory
{
    private const double Noise = 0.01;
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(4);

    /// <summary>The value, once it has neither risen nor fallen by more than 1 % for some seconds.</summary>
    public static async Task<long> SettledAsync(DaemonProcess daemon)
    {
        var settled = daemon.MemoryBytes;
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < Quiet)
        {
            await Eventually.PauseAsync();
            var now = daemon.MemoryBytes;
            if (Math.Abs(now - settled) <= settled * Noise)
                continue;
            settled = now;
            clock.Restart();
        }
        return daemon.MemoryBytes;
    }
}
