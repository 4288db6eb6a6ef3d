namespace Runtara.Actors.Journal;

/// <summary>Times as rows keep them: unix microseconds, in UTC.</summary>
internal static class RowTimes
{
    public static long Us(DateTimeOffset at) => (at - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    public static DateTimeOffset At(long us) => DateTimeOffset.UnixEpoch.AddTicks(us * TimeSpan.TicksPerMicrosecond);
}
