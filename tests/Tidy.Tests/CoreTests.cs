using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Runtara.Tidy.Tests;

/// <summary>Pure core, thin shell (D4).</summary>
public class CoreTests
{
    private const string Instances = "src/Actors/Instances/";
    private const string Shell = Instances + "InstanceActor.cs";
    private const int ShellLinesMax = 180;

    private static readonly string[] Core =
    [
        "Identifiers", "InstanceCommand", "InstanceDecider", "InstanceEvent", "InstanceReply", "InstanceSettings",
        "InstanceShard", "InstanceSnapshot", "InstanceState",
    ];

    [Fact]
    public void Every_file_of_the_core_is_where_it_is_looked_for() =>
        Assert.Equal([], Core.Select(name => Instances + name + ".cs").Except(Repository.All.Select(f => f.Path)));

    [Fact]
    public void The_core_does_not_know_akka() =>
        Repository.MustHold(
            "What decides is tested without an actor system. Let the decision name an effect that the shell performs:",
            from file in CoreFiles()
            let tree = CSharpSyntaxTree.ParseText(file.Text)
            from name in tree.GetRoot().DescendantNodes().OfType<IdentifierNameSyntax>()
            where name.Identifier.Text == "Akka"
            select file.At(name.GetLocation().GetLineSpan().StartLinePosition.Line));

    [Fact]
    public void The_actor_is_a_thin_shell()
    {
        var shell = Repository.All.Single(f => f.Path == Shell);
        Assert.True(
            shell.Lines.Length <= ShellLinesMax,
            $"{Shell} has {shell.Lines.Length} lines, more than {ShellLinesMax}. It only loads, persists, replies and "
            + "performs. New behaviour is a line in Decide, where a table tests it; a new effect is a child actor.");
    }

    private static IEnumerable<SourceFile> CoreFiles() => Repository.CSharp.Where(
        file => Core.Any(name => Regex.IsMatch(file.Path, $"^{Instances}{name}(\\.[A-Za-z]+)?\\.cs$")));
}
