using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Runtara.Tidy.Tests;

/// <summary>Names that lead a reader, or a compiler, astray.</summary>
public partial class NameTests
{
    private static readonly string[] Drawers = ["Common", "Utils", "Helpers", "Models", "Services"];

    [Fact]
    public void No_folder_is_a_drawer_for_anything() =>
        Repository.MustHold(
            "Folders are nouns of the product; these say nothing about what is inside:",
            from file in Repository.All
            from part in file.Path.Split('/')[..^1]
            where Drawers.Contains(part, StringComparer.OrdinalIgnoreCase)
            select file.Path);

    [Fact]
    public void No_namespace_has_a_part_named_Akka() =>
        Repository.MustHold(
            "Below a namespace that contains Akka, the name Akka.Actor no longer resolves (CS0234):",
            from file in Repository.CSharp
            let tree = CSharpSyntaxTree.ParseText(file.Text)
            from space in tree.GetRoot().DescendantNodes().OfType<BaseNamespaceDeclarationSyntax>()
            where space.Name.ToString().Split('.').Contains("Akka")
            select $"{file.Path}: {space.Name}");

    [Fact]
    public void No_project_names_its_assembly_or_root_namespace_after_Akka() =>
        Repository.MustHold(
            "Below a namespace that contains Akka, the name Akka.Actor no longer resolves (CS0234):",
            from project in Repository.Projects
            where NamedAfterAkka().IsMatch(project.Text)
            select project.Path);

    [GeneratedRegex(@"<(AssemblyName|RootNamespace)>[^<]*\bAkka\b")]
    private static partial Regex NamedAfterAkka();
}
