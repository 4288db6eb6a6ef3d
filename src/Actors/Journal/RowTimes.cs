namespace Runtara.Actors.Journal;

/// <summary>Times as rows keep them: unix microseconds, in UTC.</summary>
public static class RowTimes
{
    /// <summary>What a row has for a time.</summary>
    public static long Us(DateTimeOffset at) => (at - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    /// <summary>The time that a row has.</summary>
    public static DateTimeOffset At(long us) => DateTimeOffset.UnixEpoch.AddTicks(us * TimeSpan.TicksPerMicrosecond);
}
