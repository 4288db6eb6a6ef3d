using System.Text.RegularExpressions;

namespace Runtara.Tidy.Tests;

/// <summary>The table of ARCHITECTURE.md: one project for each boundary, and who may know whom.</summary>
public partial class ProjectReferenceTests
{
    private static readonly Dictionary<string, string[]> Table = new()
    {
        ["Protocol"] = [],
        ["Quic"] = [],
        ["Actors"] = [],
        ["Persistence"] = ["Actors"],
        ["Runner"] = ["Actors"],
        ["Edge"] = ["Protocol", "Quic", "Actors", "Persistence"],
        ["Host"] = ["Protocol", "Quic", "Actors", "Persistence", "Runner", "Edge"],
        ["Client"] = ["Protocol", "Quic"],
        ["Sdk"] = ["Protocol"],
        ["Cli"] = ["Client"],
    };

    [Fact]
    public void Each_project_of_src_is_a_row_of_the_table() =>
        Assert.Equal(Table.Keys.Order(), Actual().Keys.Order());

    [Fact]
    public void No_project_references_one_that_the_table_does_not_allow() =>
        Repository.MustHold(
            "A reference that is not in the table crosses a boundary. Move the code, or change the table and say why:",
            from project in Actual()
            from reference in project.Value
            where !Table.TryGetValue(project.Key, out var allowed) || !allowed.Contains(reference)
            select $"src/{project.Key} -> {reference}");

    [Fact]
    public void Each_project_reaches_all_that_the_table_gives_it()
    {
        var actual = Actual();
        Repository.MustHold(
            "The table says more than the projects do; take the reference out of the table if it is not needed:",
            from row in Table
            from promised in row.Value
            where !Reachable(actual, row.Key).Contains(promised)
            select $"src/{row.Key} does not reach {promised}");
    }

    [Fact]
    public void Samples_reference_nothing_but_the_workflow_sdk() =>
        Repository.MustHold(
            "A sample shows what a user can do, and a user has only the SDK:",
            from project in Repository.Projects
            where Repository.IsIn(project, "samples")
            from reference in ReferencesOf(project)
            where reference != "Sdk"
            select $"{project.Path} -> {reference}");

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var solution = File.ReadAllText(Path.Combine(Repository.Root, "Runtara.Akka.sln")).Replace('\\', '/');
        Repository.MustHold(
            "What is not in the solution is not built by anybody (dotnet sln add <project>):",
            Repository.Projects.Where(p => !solution.Contains($"\"{p.Path}\"", StringComparison.Ordinal))
                .Select(p => p.Path));
    }

    private static Dictionary<string, string[]> Actual() => Repository.Projects
        .Where(p => Repository.IsIn(p, "src"))
        .ToDictionary(p => Path.GetFileNameWithoutExtension(p.Path), p => ReferencesOf(p).ToArray());

    private static IEnumerable<string> ReferencesOf(SourceFile project) =>
        Reference().Matches(project.Text).Select(m => m.Groups[1].Value);

    private static HashSet<string> Reachable(Dictionary<string, string[]> references, string from)
    {
        var reached = new HashSet<string>();
        var open = new Stack<string>([from]);
        while (open.TryPop(out var at))
        {
            foreach (var next in references.GetValueOrDefault(at, []).Where(reached.Add))
                open.Push(next);
        }
        return reached;
    }

    [GeneratedRegex("""<ProjectReference\s+Include="[^"]*?([A-Za-z0-9_.]+)\.csproj""")]
    private static partial Regex Reference();
}
