using System.Text.RegularExpressions;

namespace Runtara.Tidy.Tests;

/// <summary><c>docs/compatibility.md</c> names the proof of every line, and the proof exists.</summary>
public sealed class CompatibilityTests
{
    private static readonly Regex Proof = new(@"`(\w+)\.(\w+)`");

    private static readonly SourceFile Document = Repository.All.Single(f => f.Path == "docs/compatibility.md");

    private static readonly IReadOnlyList<SourceFile> Tests =
        [.. Repository.CSharp.Where(f => Repository.IsIn(f, "tests"))];

    private static IEnumerable<(string Place, string LastCell)> Rows => Document.Lines
        .Select((line, index) => (Place: Document.At(index), Line: line))
        .Where(row => row.Line.StartsWith("| ", StringComparison.Ordinal) && !IsHead(row.Line))
        .Select(row => (row.Place, row.Line.TrimEnd(' ', '|').Split('|')[^1]));

    [Fact]
    public void Every_row_names_a_test() => Repository.MustHold(
        "A line of compatibility is a promise. Name the test that proves it:",
        Rows.Where(row => !Proof.IsMatch(row.LastCell)).Select(row => row.Place));

    [Fact]
    public void Every_test_that_is_named_exists() => Repository.MustHold(
        "A test that proves compatibility is gone. Name the one that took its place:",
        from row in Rows
        from Match proof in Proof.Matches(row.LastCell)
        where !Exists(proof.Groups[1].Value, proof.Groups[2].Value)
        select $"{row.Place}: {proof.Value}");

    [Fact]
    public void The_document_has_the_tables_that_are_looked_for() => Assert.True(Rows.Count() > 100);

    private static bool IsHead(string line) =>
        line.StartsWith("| Arm", StringComparison.Ordinal) || line.StartsWith("| Topic", StringComparison.Ordinal)
        || line.StartsWith("| Item", StringComparison.Ordinal) || line.StartsWith("| Defect", StringComparison.Ordinal);

    private static bool Exists(string type, string method) => Tests.Any(
        f => f.Text.Contains($"class {type}", StringComparison.Ordinal)
            && f.Text.Contains($" {method}(", StringComparison.Ordinal));
}
