namespace Runtara.Actors.Tests;

/// <summary>A clock that the test moves.</summary>
internal sealed class Clock : TimeProvider
{
    private long _ticks = new DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc).Ticks;
    private int _looks;

    internal DateTimeOffset Now => new(Interlocked.Read(ref _ticks), TimeSpan.Zero);

    /// <summary>How often it was looked at.</summary>
    internal int Looks => Volatile.Read(ref _looks);

    internal void Pass(TimeSpan time) => Interlocked.Add(ref _ticks, time.Ticks);

    public override DateTimeOffset GetUtcNow()
    {
        var now = Now;
        Interlocked.Increment(ref _looks);
        return now;
    }
}
