using System.Text.RegularExpressions;

namespace Runtara.Tidy.Tests;

/// <summary>The build is the reviewer; who silences it gives a reason.</summary>
public partial class SuppressionTests
{
    [Fact]
    public void Every_severity_in_an_editorconfig_has_a_sentence_above_it() =>
        Repository.MustHold(
            "Say in a sentence, on the line above, why the rule is not what the SDK makes it:",
            from file in Repository.All.Where(f => Path.GetFileName(f.Path) == ".editorconfig")
            from line in file.Lines.Index()
            where Severity().IsMatch(line.Item) && !IsSentence(file, line.Index - 1, "#")
            select $"{file.At(line.Index)}: {line.Item}");

    [Fact]
    public void Every_NoWarn_has_a_comment_above_it() =>
        Repository.MustHold(
            "Say in a comment, on the line above, why the warning is wrong here:",
            from file in Repository.All.Where(f => f.Is(".csproj") || f.Is(".props") || f.Is(".targets"))
            from line in file.Lines.Index()
            where line.Item.Contains("<NoWarn>", StringComparison.Ordinal)
                && !(line.Index > 0 && file.Lines[line.Index - 1].Contains("-->", StringComparison.Ordinal))
            select $"{file.At(line.Index)}: {line.Item.Trim()}");

    [Fact]
    public void Every_disabled_warning_in_code_has_a_reason() =>
        Repository.MustHold(
            "Say why, behind the pragma or on the line above:",
            from file in Repository.CSharp
            from line in file.Lines.Index()
            where line.Item.TrimStart().StartsWith("#pragma warning disable", StringComparison.Ordinal)
                && !line.Item.Contains("//", StringComparison.Ordinal) && !IsSentence(file, line.Index - 1, "//")
            select $"{file.At(line.Index)}: {line.Item.Trim()}");

    private static bool IsSentence(SourceFile file, int lineIndex, string comment)
    {
        if (lineIndex < 0)
            return false;
        var line = file.Lines[lineIndex].Trim();
        return line.StartsWith(comment, StringComparison.Ordinal) && line.Contains(' ') && line[^1] is '.' or ':';
    }

    [GeneratedRegex(@"^\s*dotnet_(diagnostic|analyzer_diagnostic)[\w.-]*\.severity\s*=")]
    private static partial Regex Severity();
}
