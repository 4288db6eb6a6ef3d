using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Runtara.Cli;

/// <summary>An option that is a time: in RFC 3339, or how long ago.</summary>
internal static class TimeOption
{
    private const string Forms = "RFC 3339 like 2026-03-01T12:00:00Z (UTC if it does not say), or 30m, 24h, 7d ago";

    internal static Option<DateTimeOffset?> Create(string name, string description) => new(name)
    {
        Description = $"{description}: {Forms}.",
        HelpName = "time",
        CustomParser = Parse,
    };

    private static DateTimeOffset? Parse(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        if (Ago(text) is { } span)
            return TimeProvider.System.GetUtcNow() - span;
        if (DateTimeOffset.TryParse(
            text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time))
            return time;
        result.AddError($"'{text}' is not a time: give {Forms}.");
        return null;
    }

    // No more digits than every unit can bear.
    private static TimeSpan? Ago(string text) =>
        text.Length is > 1 and < 7
        && uint.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var n)
            ? text[^1] switch
            {
                's' => TimeSpan.FromSeconds(n),
                'm' => TimeSpan.FromMinutes(n),
                'h' => TimeSpan.FromHours(n),
                'd' => TimeSpan.FromDays(n),
                _ => null,
            }
            : null;
}
