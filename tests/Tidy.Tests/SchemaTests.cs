using System.Text.RegularExpressions;

namespace Runtara.Tidy.Tests;

/// <summary>Everything that crosses a process has a schema, and the schema is its documentation.</summary>
public partial class SchemaTests
{
    [Fact]
    public void Every_field_and_enum_value_of_a_schema_has_a_comment() =>
        Repository.MustHold(
            "Say what the field means, its unit, and what its absence means; on its line or above it:",
            from file in Repository.All.Where(f => f.Is(".proto"))
            from line in file.Lines.Index()
            where Field().IsMatch(line.Item) && !line.Item.Contains("//", StringComparison.Ordinal)
                && !(line.Index > 0 && IsComment(file.Lines[line.Index - 1]))
            select $"{file.At(line.Index)}: {line.Item.Trim()}");

    [Fact]
    public void There_are_schemas_for_the_wire_the_journal_and_snapshots() =>
        Assert.Equal(
            ["environment.proto", "instance.proto", "journal.proto", "snapshot.proto"],
            Repository.All.Where(f => f.Is(".proto")).Select(f => Path.GetFileName(f.Path)).Order());

    [Theory]
    [InlineData("  string name = 1;", true)]
    [InlineData("  optional int64 at_us = 12;", true)]
    [InlineData("  map<string, string> env = 8;", true)]
    [InlineData("  STATUS_UNKNOWN = 0;", true)]
    [InlineData("message Empty {}", false)]
    [InlineData("option csharp_namespace = \"A.B\";", false)]
    [InlineData("  reserved 1;", false)]
    [InlineData("syntax = \"proto3\";", false)]
    public void A_field_is_known_by_its_number(string line, bool isField) => 
        Assert.Equal(isField, Field().IsMatch(line));

    private static bool IsComment(string line) => line.TrimStart().StartsWith("//", StringComparison.Ordinal);

    [GeneratedRegex(@"^\s*[\w.<>, ]*\w\s*=\s*\d+\s*(\[[^\]]*\])?\s*;")]
    private static partial Regex Field();
}
