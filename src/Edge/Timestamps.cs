namespace Runtara.Edge;

/// <summary>Unix milliseconds of the wire ↔ times.</summary>
internal static class Timestamps
{
    private static readonly long Min = DateTimeOffset.MinValue.ToUnixTimeMilliseconds();
    private static readonly long Max = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();

    /// <summary>The time; the first or last of the calendar when it has no such time.</summary>
    public static DateTimeOffset NearestOfUnixMs(long ms) =>
        DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(ms, Min, Max));

    /// <summary>The time, or null when no calendar has it; the reference takes "now" or "absent" then.</summary>
    public static DateTimeOffset? FromUnixMs(long ms) =>
        ms < Min || ms > Max ? null : DateTimeOffset.FromUnixTimeMilliseconds(ms);
}
