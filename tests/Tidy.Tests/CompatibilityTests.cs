using System.Text.RegularExpressions;
using Google.Protobuf.Reflection;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Environments = Runtara.Protocol.Environments;
using Instances = Runtara.Protocol.Instances;

namespace Runtara.Tidy.Tests;

/// <summary>
/// <c>docs/compatibility.md</c> answers every arm, every row of the semantics, every item of the checklists and every
/// defect, and names the proof; the proof is a test that runs, on both databases where it needs one.
/// </summary>
public sealed partial class CompatibilityTests
{
    private static readonly SourceFile Document = Repository.All.Single(f => f.Path == "docs/compatibility.md");

    private static readonly ILookup<string, TestClass> Classes = Repository.CSharp
        .Where(f => Repository.IsIn(f, "tests"))
        .SelectMany(f => CSharpSyntaxTree.ParseText(f.Text).GetRoot().DescendantNodes()
            .OfType<ClassDeclarationSyntax>().Select(c => new TestClass(f, c)))
        .ToLookup(c => c.Name);

    private static readonly IReadOnlyList<Row> Rows = [.. ReadRows()];

    private sealed record Row(string Section, string Place, string[] Cells)
    {
        public string Id => Cells[0].Split(": ")[0];

        public IEnumerable<(string Type, string Method)> Proofs => Proof().Matches(Cells[^1])
            .Select(m => (m.Groups[1].Value, m.Groups[2].Value));
    }

    private sealed record TestClass(SourceFile File, ClassDeclarationSyntax Syntax)
    {
        public string Name => Syntax.Identifier.Text;

        public MethodDeclarationSyntax? Test(string name) => Syntax.Members.OfType<MethodDeclarationSyntax>()
            .FirstOrDefault(m => m.Identifier.Text == name && Attributes(m).Any(a => a is "Fact" or "Theory"));

        public static IEnumerable<string> Attributes(MethodDeclarationSyntax method) =>
            method.AttributeLists.SelectMany(list => list.Attributes).Select(a => a.Name.ToString());

        public IEnumerable<string> Bases =>
            Syntax.BaseList?.Types.Select(t => t.ToString().Split('(')[0]) ?? [];

        public bool Extends(string contract) => Bases.Contains(contract);
    }

    [Theory]
    [InlineData("Environment protocol")]
    [InlineData("Instance protocol")]
    public void Every_arm_has_a_row(string section)
    {
        var (request, response) = section == "Instance protocol"
            ? (Instances.RpcRequest.Descriptor, Instances.RpcResponse.Descriptor)
            : (Environments.RpcRequest.Descriptor, Environments.RpcResponse.Descriptor);
        var rows = Rows.Where(row => row.Section == section).ToList();
        Covers(Arms(request), rows.Select(row => row.Cells[0]));
        Assert.Empty(Arms(response).Except(rows.SelectMany(row => row.Cells[1].Split(", "))));
        Assert.Equal(rows.Count, rows.Select(row => row.Cells[0]).Distinct().Count());
    }

    [Fact]
    public void Every_row_of_the_semantics_has_a_row() => Covers(SpecLists.OfSemantics, IdsOf("Semantics"));

    [Fact]
    public void Every_item_of_the_checklists_has_a_row()
    {
        Covers(SpecLists.OfEnvironmentTests, IdsOf("Checklist of the environment protocol"));
        Covers(SpecLists.OfInstanceTests, IdsOf("Checklist of the instance protocol"));
    }

    [Fact]
    public void Every_defect_has_a_row() => Covers(SpecLists.OfDefects, IdsOf("Defects of the reference"));

    [Fact]
    public void Every_row_names_a_test_or_says_why_none_applies() => Repository.MustHold(
        "A line of compatibility is a promise. Name the test that proves it, or say why it does not apply:",
        from row in Rows
        where !row.Proofs.Any() && !(MayDoWithout(row.Section) && Reason().IsMatch(row.Cells[^1]))
        select row.Place);

    [Fact]
    public void Every_test_that_is_named_exists_and_is_not_skipped() => Repository.MustHold(
        "A test that proves compatibility is gone or is skipped. Name the one that took its place:",
        from row in Rows
        from proof in row.Proofs
        where !Classes[proof.Type].Any(c => Find(c, proof.Method) is { } test && !IsSkipped(test))
        select $"{row.Place}: {proof.Type}.{proof.Method}");

    [Fact]
    public void Every_contract_that_is_named_is_kept_on_both_databases() => Repository.MustHold(
        "A contract has one class that keeps it on SQLite, and one, Postgres…Tests, on PostgreSQL:",
        from contract in Rows.SelectMany(row => row.Proofs).Select(proof => proof.Type).Distinct()
        where contract.EndsWith("Contract", StringComparison.Ordinal)
        let kept = Classes.SelectMany(named => named).Where(c => c.Extends(contract)).Select(c => c.Name).ToList()
        where kept.Count(name => name.StartsWith("Postgres", StringComparison.Ordinal)) == 0 || kept.Count < 2
        select contract);

    [Fact]
    public void Every_daemon_that_is_named_runs_on_both_databases() => Repository.MustHold(
        "An end-to-end test runs on each of the Databases, or is one of a pair …_on_SQLite, …_on_PostgreSQL:",
        from row in Rows
        from proof in row.Proofs
        from c in Classes[proof.Type]
        where Repository.IsIn(c.File, "tests/EndToEnd.Tests") && c.Test(proof.Method) is not null
        where !proof.Type.StartsWith("Postgres", StringComparison.Ordinal)
            && !IsOnEach(c, c.Test(proof.Method)!) && !IsPair(row, proof)
        select $"{row.Place}: {proof.Type}.{proof.Method}");

    [Fact]
    public void The_lists_are_read() => Assert.Equal(
        (42, 125, 77, 85),
        (SpecLists.OfSemantics.Count(), SpecLists.OfEnvironmentTests.Count(), SpecLists.OfInstanceTests.Count(),
            SpecLists.OfDefects.Count()));

    private static IEnumerable<string> Arms(MessageDescriptor wrapper) =>
        wrapper.Oneofs[0].Fields.Select(f => $"{f.FieldNumber} {f.Name}");

    private static IEnumerable<string> IdsOf(string section) =>
        Rows.Where(row => row.Section == section).Select(row => row.Id);

    private static void Covers(IEnumerable<string> expected, IEnumerable<string> rows)
    {
        var known = rows.ToList();
        Repository.MustHold("docs/compatibility.md has no row for:", expected.Where(id => !known.Contains(id)));
        Repository.MustHold(
            "docs/compatibility.md has more than one row for:",
            known.GroupBy(id => id).Where(group => group.Count() > 1).Select(group => group.Key));
    }

    // Its own, or inherited.
    private static MethodDeclarationSyntax? Find(TestClass c, string test) => c.Test(test)
        ?? c.Bases.SelectMany(b => Classes[b]).Select(b => Find(b, test)).FirstOrDefault(found => found is not null);

    private static bool MayDoWithout(string section) =>
        section.StartsWith("Checklist", StringComparison.Ordinal) || section == "Defects of the reference";

    private static bool IsSkipped(MethodDeclarationSyntax test) =>
        test.AttributeLists.ToString().Contains("Skip", StringComparison.Ordinal);

    private static bool IsOnEach(TestClass c, MethodDeclarationSyntax test) =>
        test.ToString().Contains("atabases.", StringComparison.Ordinal)
        && c.Syntax.ParameterList?.ToString().Contains("Databases", StringComparison.Ordinal) == true;

    private static bool IsPair(Row row, (string Type, string Method) proof) =>
        Pair().Match(proof.Method) is { Success: true } pair
        && row.Proofs.Contains((proof.Type, $"{pair.Groups[1].Value}_on_SQLite"))
        && row.Proofs.Contains((proof.Type, $"{pair.Groups[1].Value}_on_PostgreSQL"));

    private static IEnumerable<Row> ReadRows()
    {
        var section = "";
        foreach (var (index, line) in Document.Lines.Index())
        {
            if (line.StartsWith("## ", StringComparison.Ordinal))
                section = line[3..];
            var next = index + 1 < Document.Lines.Length ? Document.Lines[index + 1] : "";
            var isHead = next.StartsWith("|--", StringComparison.Ordinal);
            if (line.StartsWith("| ", StringComparison.Ordinal) && !isHead)
                yield return new Row(section, Document.At(index), [.. line.Trim(' ', '|').Split(" | ")]);
        }
    }

    [GeneratedRegex(@"`(\w+)\.(\w+)`")]
    private static partial Regex Proof();

    [GeneratedRegex("^(does not apply|cannot occur|remains): .{10,}")]
    private static partial Regex Reason();

    [GeneratedRegex("^(.*)_on_(SQLite|PostgreSQL)$")]
    private static partial Regex Pair();
}
