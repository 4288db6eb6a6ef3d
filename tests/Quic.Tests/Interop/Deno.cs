using System.Diagnostics;

namespace Runtara.Quic.Tests.Interop;

/// <summary>An independent client: Deno, whose QUIC stack is quinn, as in the Rust SDK. Fetched with npm
/// once.</summary>
internal static class Deno
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Runs a script and returns what it printed.</summary>
    public static async Task<string> RunAsync(string script, params string[] arguments)
    {
        var binary = await InstallAsync();
        return await OutputAsync(binary, ["run", "-A", "--unstable-net", script, .. arguments]);
    }

    private static async Task<string> InstallAsync()
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        Assert.True(
            folders.Any(folder => File.Exists(Path.Combine(folder, "npm"))),
            "npm is not in PATH, and Deno is fetched with it. Install it with: apt-get install npm");
        return await OutputAsync("sh", [Path.Combine(Repository(), "scripts", "interop", "install-deno.sh")]);
    }

    private static string Repository()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory!.FullName, "global.json")))
            directory = directory.Parent;
        return directory.FullName;
    }

    private static async Task<string> OutputAsync(string file, string[] arguments)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var process = Process.Start(new ProcessStartInfo(file, arguments)
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        var error = process.StandardError.ReadToEndAsync(patience.Token);
        var output = await process.StandardOutput.ReadToEndAsync(patience.Token);
        await process.WaitForExitAsync(patience.Token);
        Assert.True(process.ExitCode == 0, $"{file} ended with {process.ExitCode}: {await error}");
        return output.Trim();
    }
}
