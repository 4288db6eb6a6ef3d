namespace Runtara.Tidy.Tests;

/// <summary>A text file of the repository; <paramref name="Path"/> is relative to its root, with slashes.</summary>
internal sealed record SourceFile(string Path, string FullPath)
{
    private readonly Lazy<string> _text = new(() => File.ReadAllText(FullPath));
    private readonly Lazy<string[]> _lines = new(() => File.ReadAllLines(FullPath));

    public string Text => _text.Value;

    public string[] Lines => _lines.Value;

    public bool Is(string extension) => Path.EndsWith(extension, StringComparison.Ordinal);

    /// <summary>Where a reader should look; line numbers start at 1.</summary>
    public string At(int lineIndex) => $"{Path}:{lineIndex + 1}";
}

/// <summary>The files that people wrote: no build output, no golden data, nothing that a program generated.</summary>
internal static class Repository
{
    private static readonly string[] Folders = [".ci", "bench", "docs", "hocon", "samples", "scripts", "src", "tests"];
    private static readonly string[] NotWritten = ["bin", "obj", "artifacts", "TestResults", "node_modules", "Golden"];
    private static readonly string[] NoText = [".pem", ".der", ".bin", ".db", ".tar", ".png", ".ico", ".woff2"];

    public static string Root { get; } = FindRoot();

    public static IReadOnlyList<SourceFile> All { get; } = [.. AtRoot(), .. Folders.SelectMany(Below)];

    /// <summary>What is compiled or run, wherever it lies: code, schemas, projects and configuration.</summary>
    public static IReadOnlyList<SourceFile> Code { get; } =
    [
        .. All.Where(f => IsIn(f, "src", "tests", "samples", "bench", "hocon")
            && (f.Is(".cs") || f.Is(".proto") || f.Is(".csproj") || f.Is(".conf"))),
    ];

    public static IReadOnlyList<SourceFile> CSharp { get; } = [.. All.Where(f => f.Is(".cs"))];

    public static IReadOnlyList<SourceFile> Projects { get; } = [.. All.Where(f => f.Is(".csproj"))];

    public static bool IsIn(SourceFile file, params string[] folders) =>
        folders.Any(folder => file.Path.StartsWith(folder + "/", StringComparison.Ordinal));

    /// <summary>Fails with the rule, what to do about a breach, and every place that breaks it.</summary>
    public static void MustHold(string rule, IEnumerable<string> breaches)
    {
        var found = breaches.ToList();
        Assert.True(found.Count == 0, $"{rule}\n  {string.Join("\n  ", found)}");
    }

    private static IEnumerable<SourceFile> AtRoot() =>
        Directory.EnumerateFiles(Root).Select(ToFile).Where(f => !f.Is(".sln") && f.Path is not ("LICENSE" or ".git"));

    private static IEnumerable<SourceFile> Below(string folder)
    {
        var path = Path.Combine(Root, folder);
        return Directory.Exists(path) ? Walk(new DirectoryInfo(path)) : [];
    }

    private static IEnumerable<SourceFile> Walk(DirectoryInfo directory)
    {
        foreach (var file in directory.EnumerateFiles())
        {
            if (!NoText.Contains(file.Extension) && file.Name != "packages.lock.json" && file.LinkTarget is null)
                yield return ToFile(file.FullName);
        }
        foreach (var below in directory.EnumerateDirectories())
        {
            if (NotWritten.Contains(below.Name) || below.LinkTarget is not null)
                continue;
            foreach (var file in Walk(below))
                yield return file;
        }
    }

    private static SourceFile ToFile(string fullPath) =>
        new(Path.GetRelativePath(Root, fullPath).Replace('\\', '/'), fullPath);

    private static string FindRoot()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Runtara.Akka.sln")))
                return at.FullName;
        }
        throw new DirectoryNotFoundException($"no Runtara.Akka.sln above {AppContext.BaseDirectory}");
    }
}
