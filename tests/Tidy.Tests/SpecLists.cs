using System.Text.RegularExpressions;

namespace Runtara.Tidy.Tests;

/// <summary>
/// The lists of <c>shared/</c> that <c>docs/compatibility.md</c> answers item by item, each item by an id: the list and
/// a number. A list is split at its semicolons, but for those within brackets.
/// </summary>
internal static partial class SpecLists
{
    private static readonly string Environments = Read("spec/environment-protocol.md");
    private static readonly string Instances = Read("spec/instance-protocol.md");
    private static readonly string Semantics = Read("design/semantics.md");

    /// <summary>Promises, topics, limits and liberties.</summary>
    public static IEnumerable<string> OfSemantics =>
    [
        .. Numbered(Part(Semantics, "## Promises", "## Life cycle")).Select(n => $"Promise {n}"),
        .. Part(Semantics, "| Topic", "## Limits").Split('\n').Select(line => line.Split('|')).Skip(2)
            .Where(cells => cells.Length > 3).Select(cells => cells[1].Trim()),
        .. Items("Limit", Sentences().Replace(Part(Semantics, "\nFrame 64 MiB", "## Liberties"), ";")),
        .. Items("Liberty", Part(Semantics, "\nIt sends no ALPN", null)),
    ];

    /// <summary>What the reference's tests of its environment server check.</summary>
    public static IEnumerable<string> OfEnvironmentTests =>
        from line in Part(Environments, "## 11.", "## 12.").Split('\n')
        let list = Bold().Match(line)
        where list.Success
        from item in Items(NameOf(list.Groups[1].Value), list.Groups[2].Value)
        select item;

    /// <summary>What the tests of its core, its SDK and the rest check.</summary>
    public static IEnumerable<string> OfInstanceTests =>
    [
        .. from line in Part(Instances, "### 8.1", "### 8.4").Split('\n')
           where line.StartsWith("| ", StringComparison.Ordinal)
               && !line.StartsWith("| File", StringComparison.Ordinal)
           let cells = line.Split('|', 3)
           from item in Items(NameOf(cells[1]), cells[2].TrimEnd(' ', '|'))
           select item,
        .. Items("Others", Part(Instances, "### 8.4", "### 8.5")),
        .. Part(Instances, "### 8.5", "## 9.").Split('\n')
            .Where(line => line.StartsWith("* ", StringComparison.Ordinal)).Select((_, i) => $"e2e {i + 1}"),
    ];

    /// <summary>What is wrong with the reference.</summary>
    public static IEnumerable<string> OfDefects =>
    [
        .. Numbered(Part(Environments, "## 12.", "## 13.")).Select(n => $"Environment {n}"),
        .. from section in Sections().Matches(Part(Instances, "## 9.", "## 10."))
           from id in Numbered(section.Groups[2].Value).Select(n => $"{section.Groups[1].Value}.{n}")
               .DefaultIfEmpty(section.Groups[1].Value)
           select $"Instance {id}",
    ];

    private static IEnumerable<string> Items(string list, string text)
    {
        var depth = 0;
        var at = 1;
        foreach (var c in text.Trim().TrimEnd(';'))
        {
            depth += c is '(' or '[' or '{' ? 1 : c is ')' or ']' or '}' ? -1 : 0;
            if (c == ';' && depth <= 0)
                yield return $"{list} {at++}";
        }
        yield return $"{list} {at}";
    }

    private static IEnumerable<string> Numbered(string text) =>
        from line in text.Split('\n')
        let number = Number().Match(line)
        where number.Success
        select number.Groups[1].Value;

    private static string NameOf(string list) => list.Split(" (")[0].TrimEnd(':', ' ').Trim();

    private static string Part(string text, string from, string? to)
    {
        var start = text.IndexOf(from, StringComparison.Ordinal);
        var end = to is null ? text.Length : text.IndexOf(to, start, StringComparison.Ordinal);
        return text[start..end];
    }

    private static string Read(string path)
    {
        for (var at = new DirectoryInfo(Repository.Root); at is not null; at = at.Parent)
        {
            var file = Path.Combine(at.FullName, "shared", path);
            if (File.Exists(file))
                return File.ReadAllText(file);
        }
        throw new FileNotFoundException($"no shared/{path} beside any folder above {Repository.Root}");
    }

    [GeneratedRegex(@"^(\d+)\. ")]
    private static partial Regex Number();

    [GeneratedRegex(@"^\*\*(.+?)\*\*\s*(.*)$")]
    private static partial Regex Bold();

    [GeneratedRegex(@"\.\s(?=\S)")]
    private static partial Regex Sentences();

    [GeneratedRegex(@"### (9\.\d+)(.*?)(?=### 9|\z)", RegexOptions.Singleline)]
    private static partial Regex Sections();
}
