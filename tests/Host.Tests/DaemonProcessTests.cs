using System.Diagnostics;

namespace Runtara.Host.Tests;

/// <summary>The real process.</summary>
public sealed class DaemonProcessTests : IDisposable
{
    private static readonly TimeSpan Within = TimeSpan.FromSeconds(60);

    private readonly string _directory = Directory.CreateTempSubdirectory("runtara-daemon-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in (string[])[Path.Combine(AppContext.BaseDirectory, "runtarad.dll"), .. arguments])
            start.ArgumentList.Add(argument);
        foreach (
            var name in (string[])["DATA_DIR", "RUNTARA_DATABASE_URL", "RUNTARA_CORE_ADDR", "RUNTARA_ENV_QUIC_PORT"])
            start.Environment.Remove(name);
        return Process.Start(start)!;
    }

    private Process StartDaemon() => Start(
        "--set", $"data-directory={_directory}", "--set", "environment.listen=127.0.0.1:0", "--set",
        "instance.listen=127.0.0.1:0", "--set", "health.listen=127.0.0.1:0", "--set", "runner.network-mode=none");

    private static async Task<(int ExitCode, string Output, string Error)> EndAsync(Process process)
    {
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync().WaitAsync(Within);
        return (process.ExitCode, await output, await error);
    }

    [Fact]
    public async Task A_second_daemon_on_one_data_directory_ends_and_says_why()
    {
        using var first = StartDaemon();
        var log = first.StandardError.ReadToEndAsync();
        try
        {
            Assert.Contains(" ready: ", await first.StandardOutput.ReadLineAsync().WaitAsync(Within));
            using var second = StartDaemon();
            var (exitCode, output, error) = await EndAsync(second);
            Assert.Equal(1, exitCode);
            Assert.Equal("", output);
            Assert.Contains($"runtarad: cannot run: another runtarad uses the data directory '{_directory}'", error);
            Assert.False(first.HasExited);
            using var terminate = Process.Start(
                "kill", ["-TERM", first.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
            await first.WaitForExitAsync().WaitAsync(Within);
            Assert.Equal(0, first.ExitCode);
        }
        finally
        {
            if (!first.HasExited)
                first.Kill();
            await log;
        }
    }

    [Fact]
    public async Task A_bad_configuration_ends_with_its_own_code_and_every_problem()
    {
        using var daemon = Start("--set", "runner.capacity=many", "--set", "log-level=loud");
        var (exitCode, _, error) = await EndAsync(daemon);
        Assert.Equal(2, exitCode);
        Assert.Contains("runtara.runner.capacity: 'many' is not a whole number", error);
        Assert.Contains("runtara.log-level", error);
    }

    [Fact]
    public async Task A_check_prints_what_is_in_effect_and_leaves_nothing()
    {
        var directory = Path.Combine(_directory, "unused");
        using var daemon = Start("--check", "--set", $"data-directory={directory}");
        var (exitCode, output, error) = await EndAsync(daemon);
        Assert.Equal((0, ""), (exitCode, error));
        Assert.Contains($"data-directory = \"{directory}\"", output);
        Assert.False(Directory.Exists(directory));
    }
}
