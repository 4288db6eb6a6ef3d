using System.Text.RegularExpressions;

namespace Runtara.Tidy.Tests;

/// <summary>What clients read into texts, and where a server may write at all.</summary>
public sealed partial class WireTextTests
{
    private static readonly string[] Server = ["Actors", "Edge", "Host", "Persistence", "Protocol", "Quic", "Runner"];

    private static IEnumerable<(string Place, string Line)> Lines =>
        from file in Repository.CSharp
        where Server.Any(project => Repository.IsIn(file, $"src/{project}"))
        from line in file.Lines.Index()
        where !line.Item.TrimStart().StartsWith("//", StringComparison.Ordinal)
        select (file.At(line.Index), line.Item);

    [Fact]
    public void The_words_not_found_are_for_what_is_missing() =>
        Repository.MustHold(
            "The reference's SDK takes every error with these words for a missing thing. Say it otherwise:",
            from line in Lines
            where line.Line.Contains("not found", StringComparison.OrdinalIgnoreCase)
                && !Missing().IsMatch(line.Line)
            select line.Place);

    [Fact]
    public void Only_the_start_and_the_command_line_write_to_the_console() =>
        Repository.MustHold(
            "What a server has to say is a line of its log, declared in Logs.cs:",
            from line in Lines
            where line.Line.Contains("Console.", StringComparison.Ordinal)
                && !line.Line.Contains("Logging.Console.", StringComparison.Ordinal)
                && !line.Place.StartsWith("src/Host/", StringComparison.Ordinal)
            select line.Place);

    [GeneratedRegex(@"(Image|Instance|Checkpoint) '\{[^}]+\}' not found|""Instance not found""")]
    private static partial Regex Missing();
}
