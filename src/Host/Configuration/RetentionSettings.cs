using System.Globalization;
using System.Text.RegularExpressions;
using static Runtara.Daemon.Configuration.SettingTable;
using static Runtara.Daemon.Configuration.SettingTypes;

namespace Runtara.Daemon.Configuration;

/// <summary>The keys below <c>runtara.retention</c>.</summary>
internal static partial class RetentionSettings
{
    private static readonly TimeSpan AgeMax = TimeSpan.FromDays(36_500);

    // The unit is required: HOCON takes 30 for 30 ms, and who writes it means days.
    internal static readonly SettingType<TimeSpan?> Age = new(
        "never, 0 (which means never), or a number with its unit such as 30d, 12h, 90m, 45s or 500ms",
        (c, k) => ReadAge(c.GetString(k).Trim()), ShowAge, v => Quote(v.Trim()));

    public static IEnumerable<Setting> All =>
    [
        Of("retention.completed", null, "how long completed instances are kept, with all they have", Age,
            o => o.Retention.Completed, (o, v) => o.Retention = o.Retention with { Completed = v }),
        Of("retention.failed", null, "how long failed instances are kept", Age,
            o => o.Retention.Failed, (o, v) => o.Retention = o.Retention with { Failed = v }),
        Of("retention.cancelled", null, "how long cancelled instances are kept", Age,
            o => o.Retention.Cancelled, (o, v) => o.Retention = o.Retention with { Cancelled = v }),
        Of("retention.run-directories", null, "how long a run directory is kept after the end of its instance", Age,
            o => o.Retention.RunDirectories, (o, v) => o.Retention = o.Retention with { RunDirectories = v }),
        Of("retention.interval", null, "how often it is looked for what is to be removed", Duration,
            o => o.Retention.Interval, (o, v) => o.Retention = o.Retention with { Interval = v }),
        Of("retention.batch", null, "how many instances are removed together", Count,
            o => o.Retention.Batch, (o, v) => o.Retention = o.Retention with { Batch = v }),
        Of("retention.rows", null, "the most rows that one transaction removes", Count,
            o => o.Retention.Rows, (o, v) => o.Retention = o.Retention with { Rows = v }),
        Of("retention.pause", null, "the pause after each transaction", DurationOrZero,
            o => o.Retention.Pause, (o, v) => o.Retention = o.Retention with { Pause = v }),
    ];

    private static TimeSpan? ReadAge(string text)
    {
        if (text is "never" or "0")
            return null;
        var match = NumberAndUnit().Match(text);
        if (!match.Success)
            throw new FormatException();
        var number = long.Parse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);
        var unit = match.Groups[2].Value switch
        {
            "ms" => TimeSpan.FromMilliseconds(1),
            "s" => TimeSpan.FromSeconds(1),
            "m" => TimeSpan.FromMinutes(1),
            "h" => TimeSpan.FromHours(1),
            _ => TimeSpan.FromDays(1),
        };
        var age = checked(number * unit.Ticks);
        return age == 0 ? null : age <= AgeMax.Ticks ? new TimeSpan(age) : throw new FormatException();
    }

    private static string ShowAge(TimeSpan? age)
    {
        if (age is not { } kept)
            return "never";
        var (number, unit) = kept switch
        {
            _ when kept.Ticks % TimeSpan.TicksPerDay == 0 => (kept.Ticks / TimeSpan.TicksPerDay, "d"),
            _ when kept.Ticks % TimeSpan.TicksPerHour == 0 => (kept.Ticks / TimeSpan.TicksPerHour, "h"),
            _ when kept.Ticks % TimeSpan.TicksPerSecond == 0 => (kept.Ticks / TimeSpan.TicksPerSecond, "s"),
            _ => (kept.Ticks / TimeSpan.TicksPerMillisecond, "ms"),
        };
        return number.ToString(CultureInfo.InvariantCulture) + unit;
    }

    [GeneratedRegex("^([0-9]+) ?(ms|s|m|h|d)$")]
    private static partial Regex NumberAndUnit();
}
