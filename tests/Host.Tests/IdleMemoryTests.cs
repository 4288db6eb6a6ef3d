using Runtara.Daemon;

namespace Runtara.Host.Tests;

/// <summary>When the memory of a burst is given back.</summary>
public sealed class IdleMemoryTests
{
    private const long Mebibyte = 1L << 20;

    private readonly QuietWatch _watch = new(quietTicks: 2);
    private long _allocated;

    [Fact]
    public void A_burst_is_over_after_enough_quiet_ticks_and_only_once()
    {
        Assert.False(Tick(20 * Mebibyte));
        Assert.False(Tick(1000));
        Assert.True(Tick(1000));
        for (var i = 0; i < 100; i++)
            Assert.False(Tick(1000));
    }

    [Fact]
    public void Work_in_between_begins_the_wait_again()
    {
        Tick(20 * Mebibyte);
        Assert.False(Tick(1000));
        Assert.False(Tick(QuietWatch.QuietBytes));
        Assert.False(Tick(1000));
        Assert.True(Tick(1000));
    }

    [Fact]
    public void Several_small_bursts_count_together()
    {
        for (var i = 0; i < 3; i++)
        {
            Tick(5 * Mebibyte);
            Assert.False(Tick(1000));
            Assert.False(Tick(1000));
        }
        Tick(5 * Mebibyte);
        Assert.False(Tick(1000));
        Assert.True(Tick(1000));
    }

    [Fact]
    public void A_trickle_is_no_burst_however_long_it_lasts()
    {
        for (var i = 0; i < 10_000; i++)
            Assert.False(Tick(QuietWatch.QuietBytes - 1));
    }

    private bool Tick(long allocated) => _watch.IsDue(_allocated += allocated);
}
