using System.Diagnostics;
using System.Globalization;

namespace Runtara.Host.Tests;

/// <summary>The daemon as a process, for tests that need no container.</summary>
internal static class RealDaemon
{
    public static readonly TimeSpan Within = TimeSpan.FromSeconds(60);

    public static Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in (string[])[Path.Combine(AppContext.BaseDirectory, "runtarad.dll"), .. arguments])
            start.ArgumentList.Add(argument);
        foreach (
            var name in (string[])["DATA_DIR", "RUNTARA_DATABASE_URL", "RUNTARA_CORE_ADDR", "RUNTARA_ENV_QUIC_PORT"])
            start.Environment.Remove(name);
        return Process.Start(start)!;
    }

    /// <summary>On ports of its own.</summary>
    public static Process StartOn(string dataDirectory, params string[] settings) => Start(
        [
            .. ((string[])
            [
                $"data-directory={dataDirectory}", "environment.listen=127.0.0.1:0", "instance.listen=127.0.0.1:0",
                "health.listen=127.0.0.1:0", "runner.network-mode=none", .. settings,
            ]).SelectMany(setting => (string[])["--set", setting]),
        ]);

    public static async Task<(int ExitCode, string Output, string Error)> EndAsync(Process process)
    {
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync().WaitAsync(Within);
        return (process.ExitCode, await output, await error);
    }

    /// <summary>Starts it, sees it ready, and kills it; says what it logged.</summary>
    public static Task<string> ServeOnceAsync(string dataDirectory, params string[] settings) =>
        ServeOnceAsync(dataDirectory, daemon => daemon.Kill(), settings);

    /// <summary>As the other one, ended as the test wants.</summary>
    public static async Task<string> ServeOnceAsync(
        string dataDirectory, Action<Process> end, params string[] settings)
    {
        using var daemon = StartOn(dataDirectory, settings);
        var log = daemon.StandardError.ReadToEndAsync();
        try
        {
            Assert.Contains(" ready: ", await daemon.StandardOutput.ReadLineAsync().WaitAsync(Within));
        }
        finally
        {
            end(daemon);
            await daemon.WaitForExitAsync().WaitAsync(Within);
        }
        return await log;
    }

    public static void Terminate(Process process)
    {
        using var kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }
}
