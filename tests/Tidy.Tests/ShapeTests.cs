using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Runtara.Tidy.Tests;

/// <summary>How much a reader has to hold in mind at once.</summary>
public partial class ShapeTests
{
    private const int FileLinesMax = 400;
    private const int FunctionLinesMax = 60;
    private const int ColumnsMax = 120;

    [Fact]
    public void No_file_has_more_than_400_lines() =>
        Repository.MustHold(
            "A file answers one question. Split it by the questions that it answers:",
            Repository.Code.Where(f => f.Lines.Length > FileLinesMax).Select(f => $"{f.Path}: {f.Lines.Length} lines"));

    [Fact]
    public void No_line_has_more_than_120_columns() =>
        Repository.MustHold(
            "A line fits beside another one. Only data in hexadecimal may be longer:",
            from file in Repository.Code
            from line in file.Lines.Index()
            where line.Item.Length > ColumnsMax && !HexadecimalData().IsMatch(line.Item)
            select $"{file.At(line.Index)}: {line.Item.Length} columns");

    [Fact]
    public void No_function_has_more_than_60_lines() =>
        Repository.MustHold(
            "A function fits on a screen. Name its parts and make them functions:",
            from file in Repository.CSharp
            from function in Functions(file)
            where function.Lines > FunctionLinesMax
            select $"{file.At(function.Line)}: {function.Name} has {function.Lines} lines");

    private static IEnumerable<(string Name, int Line, int Lines)> Functions(SourceFile file)
    {
        var root = CSharpSyntaxTree.ParseText(file.Text).GetRoot();
        foreach (var node in root.DescendantNodes())
        {
            var name = node switch
            {
                MethodDeclarationSyntax m => m.Identifier.Text,
                ConstructorDeclarationSyntax c => c.Identifier.Text,
                LocalFunctionStatementSyntax l => l.Identifier.Text,
                BaseMethodDeclarationSyntax m => m.Kind().ToString(),
                AccessorDeclarationSyntax a => a.Keyword.Text,
                _ => null,
            };
            if (name is not null)
                yield return Measured(name, node, node);
        }
        // The functions of a program without a class are counted by themselves, above.
        var statements = root.ChildNodes().OfType<GlobalStatementSyntax>()
            .Where(s => s.Statement is not LocalFunctionStatementSyntax).ToList();
        if (statements.Count > 0)
            yield return Measured("the program", statements[0], statements[^1]);
    }

    private static (string Name, int Line, int Lines) Measured(string name, SyntaxNode first, SyntaxNode last)
    {
        var start = first.GetLocation().GetLineSpan().StartLinePosition.Line;
        return (name, start, last.GetLocation().GetLineSpan().EndLinePosition.Line - start + 1);
    }

    [GeneratedRegex("[0-9A-Fa-f]{64,}")]
    private static partial Regex HexadecimalData();
}
