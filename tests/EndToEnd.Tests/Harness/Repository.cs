namespace Runtara.EndToEnd.Tests.Harness;

/// <summary>Where things are in the repository and in its build output.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    private static string Configuration { get; } =
        new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name is "Release" ? "Release" : "Debug";

    public static string Daemon => Path.Combine(Root, "src", "Host", "bin", Configuration, "net10.0", "runtarad.dll");

    public static string CommandLine =>
        Path.Combine(Root, "src", "Cli", "bin", Configuration, "net10.0", "runtara.dll");

    private static string FindRoot()
    {
        var at = new DirectoryInfo(AppContext.BaseDirectory);
        while (at is not null && !File.Exists(Path.Combine(at.FullName, "Runtara.Akka.sln")))
            at = at.Parent;
        return at?.FullName ?? throw new DirectoryNotFoundException("Runtara.Akka.sln is in no parent directory");
    }
}
