using System.Text.RegularExpressions;
using Akka.Configuration.Hocon;

namespace Runtara.Daemon.Configuration;

/// <summary>
/// What the parser lets pass or dies of: brackets and quotation marks that do not match, and references that lead back
/// to themselves.
/// </summary>
internal static partial class HoconCheck
{
    private const int DepthMax = 100;

    /// <summary>The first bracket or quotation mark that is wrong, with its line; null when all match.</summary>
    public static string? Unbalanced(string text)
    {
        var open = new Stack<(char Bracket, int Line)>();
        var (line, counted) = (1, 0);
        foreach (Match token in Tokens().Matches(text))
        {
            line += text.AsSpan(counted, token.Index - counted).Count('\n');
            counted = token.Index;
            var first = token.Value[0];
            if (first is '{' or '[')
            {
                open.Push((first, line));
                if (open.Count > DepthMax)
                    return $"line {line}: brackets within brackets, more than {DepthMax} deep";
            }
            else if (token.Value is "\"" or "\"\"\"")
                return $"line {line}: the quotation mark is not closed";
            else if (first is '}' or ']')
            {
                if (!open.TryPop(out var last))
                    return $"line {line}: '{first}' closes nothing";
                if ((last.Bracket == '{') != (first == '}'))
                    return $"line {line}: '{first}' does not close the '{last.Bracket}' of line {last.Line}";
            }
        }
        return open.TryPop(out var left) ? $"line {left.Line}: '{left.Bracket}' is not closed" : null;
    }

    /// <summary>The path of a reference that leads back to itself; null when there is none.</summary>
    public static string? Cycle(HoconValue root) => Cycle(root, [], []);

    private static string? Cycle(HoconValue value, HashSet<HoconValue> above, HashSet<HoconValue> done)
    {
        if (!done.Add(value))
            return null;
        above.Add(value);
        foreach (var element in value.Values)
        {
            if (element is HoconSubstitution { ResolvedValue: { } target } reference && above.Contains(target))
                return reference.Path;
            var below = element switch
            {
                HoconSubstitution { ResolvedValue: { } to } => [to],
                HoconObject section => section.Items.Values,
                HoconArray array => (IEnumerable<HoconValue>)array,
                _ => [],
            };
            if (below.Select(v => Cycle(v, above, done)).FirstOrDefault(found => found is not null) is { } cycle)
                return cycle;
        }
        above.Remove(value);
        return null;
    }

    // Comments and whole quotations are passed over; a quotation mark alone is one that nothing closes.
    [GeneratedRegex(
        """(?:#|//)[^\n]*|\"{3}(?:.|\n)*?\"{3}|"(?!"")(?:[^"\\]|\\.|\\\n)*"|\"{3}|"|[{}\[\]]""",
        RegexOptions.CultureInvariant)]
    private static partial Regex Tokens();
}
