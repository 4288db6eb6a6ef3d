using System.Globalization;
using System.Net;
using Akka.Configuration;
using Runtara.Persistence;

namespace Runtara.Daemon.Configuration;

/// <summary>One key below <c>runtara { }</c>: how it is read, which variable overrides it, what it means.</summary>
internal abstract class Setting(string key, string? variable, string help)
{
    /// <summary>The path below <c>runtara</c>, e.g. <c>runner.capacity</c>.</summary>
    public string Key { get; } = key;

    /// <summary>The environment variable that overrides it, if any.</summary>
    public string? Variable { get; } = variable;

    /// <summary>What it means, with its unit.</summary>
    public string Help { get; } = help;

    /// <summary>
    /// Reads it from the configuration into the options. Throws <see cref="ConfigurationException"/>.
    /// </summary>
    public abstract void Apply(Config runtara, DaemonOptions options);

    /// <summary>The effective value, as it would be written in HOCON.</summary>
    public abstract string Show(DaemonOptions options);

    /// <summary>The HOCON value of an environment variable's text, above what the file says.</summary>
    public abstract string FromVariable(string text, Config file);
}

/// <summary>A setting of one type.</summary>
internal sealed class Setting<T>(
    string key, string? variable, string help, SettingType<T> type, Func<DaemonOptions, T> get,
    Action<DaemonOptions, T> set) : Setting(key, variable, help)
{
    public override void Apply(Config runtara, DaemonOptions options)
    {
        string? written = null;
        try
        {
            if (!runtara.HasPath(Key))
                return;
            written = runtara.GetString(Key);
            // The option may have a narrower type than the setting.
            set(options, type.Read(runtara, Key));
        }
        // Whatever HOCON throws when a value has another shape than the one asked for.
        catch (Exception)
        {
            var value = written is null ? "the value" : $"'{written}'";
            var variable = Variable is null ? "" : $" [{Variable}]";
            throw new ConfigurationException($"runtara.{Key}: {value} is not {type.Rule} ({Help}){variable}");
        }
    }

    public override string Show(DaemonOptions options) => type.Show(get(options));

    public override string FromVariable(string text, Config file) => type.OverFile is not { } over
        ? type.FromVariable(text)
        : over(text, file.HasPath($"runtara.{Key}") ? file.GetString($"runtara.{Key}") : null);
}

/// <summary>How values of one type are read and shown.</summary>
/// <param name="Rule">The rule, for errors: "a duration such as 5s".</param>
/// <param name="Read">From HOCON.</param>
/// <param name="Show">To HOCON.</param>
/// <param name="FromVariable">From a variable's text to HOCON.</param>
internal sealed record SettingType<T>(
    string Rule, Func<Config, string, T> Read, Func<T, string> Show, Func<string, string> FromVariable)
{
    /// <summary>In place of <see cref="FromVariable"/>, where a variable says a part of what the file says.</summary>
    public Func<string, string?, string>? OverFile { get; init; }
}

/// <summary>The types that settings have.</summary>
internal static class SettingTypes
{
    public static readonly SettingType<string> Text = new(
        "text", (c, k) => c.GetString(k), Quote, Quote);

    /// <summary>As <see cref="Text"/>, and shown without the password.</summary>
    public static readonly SettingType<string> Url =
        Text with { Show = v => Quote(v.Length == 0 ? v : DatabaseUrl.Redact(v)) };

    public static readonly SettingType<int> Count = new(
        "a whole number, 0 or more",
        (c, k) => int.Parse(c.GetString(k), NumberStyles.None, CultureInfo.InvariantCulture),
        v => v.ToString(CultureInfo.InvariantCulture), v => Quote(v.Trim()));

    public static readonly SettingType<bool> Switch = new(
        "true or false",
        (c, k) => c.GetString(k).ToLowerInvariant() switch
        {
            "true" or "on" or "yes" or "1" => true,
            "false" or "off" or "no" or "0" => false,
            _ => throw new FormatException(),
        },
        v => v ? "true" : "false", v => Quote(v.Trim()));

    public static readonly SettingType<long> Bytes = new(
        "a size such as 512MiB",
        (c, k) => c.GetByteSize(k) is { } size and >= 0 ? size : throw new FormatException(),
        v => v.ToString(CultureInfo.InvariantCulture) + "b", v => Quote(v.Trim()));

    // What timers take: a little less than 2^31 ms.
    private static readonly TimeSpan TimerMax = TimeSpan.FromDays(24);

    /// <summary>Long enough for a timer to ring, and short enough for it to be set.</summary>
    public static readonly SettingType<TimeSpan> Duration = new(
        "a duration of 1ms to 24d with its unit, such as 5s or 100ms",
        (c, k) => ReadDuration(c.GetString(k), c, k) is var d && d >= TimeSpan.FromMilliseconds(1) && d <= TimerMax
            ? d
            : throw new FormatException(),
        v => ((long)v.TotalMilliseconds).ToString(CultureInfo.InvariantCulture) + "ms", v => Quote(v.Trim()));

    /// <summary>As <see cref="Duration"/>, where no time at all makes sense.</summary>
    public static readonly SettingType<TimeSpan> DurationOrZero = Duration with
    {
        Rule = "a duration of 0s to 24d with its unit, such as 5s or 100ms",
        Read = (c, k) => ReadDuration(c.GetString(k), c, k) is var d && d <= TimerMax ? d : throw new FormatException(),
    };

    /// <summary>As <see cref="Duration"/>, where no time means never.</summary>
    public static readonly SettingType<TimeSpan> DurationOrNever = DurationOrZero with
    {
        Rule = "0 (which means never), or a duration of up to 24d with its unit, such as 5s or 100ms",
        Read = (c, k) => c.GetString(k).Trim() == "0" ? TimeSpan.Zero : DurationOrZero.Read(c, k),
    };

    /// <summary>A bound for what is asked for, and no timer.</summary>
    public static readonly SettingType<TimeSpan> LongDuration = Duration with
    {
        Rule = "a duration of 1s to 36500d with its unit, such as 5s or 30d",
        Read = (c, k) => ReadDuration(c.GetString(k), c, k) is var d
            && d >= TimeSpan.FromSeconds(1) && d <= TimeSpan.FromDays(36_500) ? d : throw new FormatException(),
    };

    /// <summary>The variable of a duration that is a plain number of milliseconds.</summary>
    public static SettingType<TimeSpan> Ms(SettingType<TimeSpan> type) =>
        type with { FromVariable = v => Quote(v.Trim() + "ms") };

    public static readonly SettingType<IPEndPoint> EndPoint = new(
        "an address such as 127.0.0.1:8002 or [::1]:8002",
        (c, k) => ParseEndPoint(c.GetString(k)), v => Quote(v.ToString()), Quote);

    /// <summary>
    /// As <see cref="EndPoint"/>; its variable is a port, and the address stays that of the file, or the default.
    /// </summary>
    public static readonly SettingType<IPEndPoint> Port = EndPoint with
    {
        OverFile = (v, file) => Quote(WithPort(file ?? $"{IPAddress.Loopback}:0", v.Trim())),
    };

    public static readonly SettingType<IReadOnlyList<string>> List = new(
        "a list such as [a, b]", (c, k) => [.. c.GetStringList(k)],
        v => "[" + string.Join(", ", v.Select(Quote)) + "]",
        v =>
            "[" + string.Join(", ", v.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Select(Quote)) + "]");

    private static string WithPort(string address, string port) =>
        $"{address[..Math.Max(address.LastIndexOf(':'), 0)]}:{port}";

    // The unit is required: HOCON takes 120 for 120 ms, and who writes it means seconds.
    private static TimeSpan ReadDuration(string text, Config c, string key)
    {
        if (text.Length == 0 || !char.IsAsciiDigit(text[0]) || !char.IsAsciiLetter(text.TrimEnd()[^1]))
            throw new FormatException();
        return c.GetTimeSpan(key, allowInfinite: false);
    }

    private static IPEndPoint ParseEndPoint(string text) =>
        HostAndPort(text) is { } given && IPAddress.TryParse(given.Host, out var address)
            ? new IPEndPoint(address, given.Port)
            : throw new FormatException();

    /// <summary>Splits host:port or [IPv6]:port; null when the text is neither.</summary>
    internal static (string Host, int Port)? HostAndPort(string text)
    {
        var colon = text.LastIndexOf(':');
        if (colon <= 0 || !ushort.TryParse(
            text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port))
            return null;
        var host = text[..colon];
        if (host.StartsWith('[') && host.EndsWith(']') && host.Contains(':'))
            return (host[1..^1], port);
        return Uri.CheckHostName(host) is UriHostNameType.Dns or UriHostNameType.IPv4 ? (host, port) : null;
    }

    internal static string Quote(string text) =>
        "\"" + text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal).Replace("\r", "\\r", StringComparison.Ordinal) + "\"";
}
