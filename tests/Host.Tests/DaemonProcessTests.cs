using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Runtara.Testing.Postgres;
using static Runtara.Host.Tests.RealDaemon;

namespace Runtara.Host.Tests;

/// <summary>The real process.</summary>
public sealed class DaemonProcessTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("runtara-daemon-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private Process StartDaemon() => RealDaemon.StartOn(_directory);

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
            Terminate(first);
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
    public async Task The_ready_line_names_the_ports_that_were_chosen_for_it()
    {
        using var daemon = StartDaemon();
        var log = daemon.StandardError.ReadToEndAsync();
        try
        {
            var line = await daemon.StandardOutput.ReadLineAsync().WaitAsync(Within);
            var said = Assert.IsType<string>(line).Split(' ').Where(word => word.Contains('='))
                .ToDictionary(word => word.Split('=')[0], word => word.Split('=')[1]);
            Assert.NotEqual(0, IPEndPoint.Parse(said["environment"]).Port);
            Assert.NotEqual(0, IPEndPoint.Parse(said["instance"]).Port);
            using var http = new HttpClient();
            Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(new Uri($"{said["health"]}/readyz"))).StatusCode);
        }
        finally
        {
            daemon.Kill();
            await log;
        }
    }

    [Fact]
    public async Task A_port_in_use_ends_the_start_before_it_says_that_it_is_ready()
    {
        await using var postgres = await PostgresServer.StartAsync();
        await EndsAsync("environment", "");
        await EndsAsync("instance", await postgres.CreateDatabaseAsync());
    }

    private async Task EndsAsync(string door, string databaseUrl)
    {
        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var doors = new Dictionary<string, string> { ["environment"] = "127.0.0.1:0", ["instance"] = "127.0.0.1:0" };
        doors[door] = taken.LocalEndPoint!.ToString()!;
        using var daemon = Start(
            "--set", $"data-directory={_directory}", "--set", $"environment.listen={doors["environment"]}", "--set",
            $"instance.listen={doors["instance"]}", "--set", "health.listen=127.0.0.1:0", "--set",
            "runner.network-mode=none", "--set", $"database-url={databaseUrl}");
        var (exitCode, output, error) = await EndAsync(daemon);
        Assert.Equal((1, ""), (exitCode, output));
        Assert.Contains(doors[door], error);
    }

    /// <param name="file">What the data directory holds when the signal comes: the lock is taken first, then the store
    /// is opened, and the doors, which need the certificate, open last.</param>
    [Theory]
    [InlineData("daemon.lock")]
    [InlineData("runtara.db")]
    [InlineData("quic-key.pem")]
    public async Task A_signal_during_the_start_ends_it_and_the_next_start_succeeds(string file)
    {
        using (var first = StartDaemon())
        {
            using (var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(5)))
            {
                while (!File.Exists(Path.Combine(_directory, file)) && !first.HasExited)
                    await timer.WaitForNextTickAsync();
            }
            Terminate(first);
            var (exitCode, _, error) = await EndAsync(first);
            Assert.True(exitCode == 0, $"exit code {exitCode}: {error}");
        }
        using var second = StartDaemon();
        var log = second.StandardError.ReadToEndAsync();
        Assert.Contains(" ready: ", await second.StandardOutput.ReadLineAsync().WaitAsync(Within));
        Terminate(second);
        await second.WaitForExitAsync().WaitAsync(Within);
        Assert.True(second.ExitCode == 0, $"exit code {second.ExitCode}: {await log}");
    }

    /// <param name="milliseconds">From ready to the signal: before all shards have a home, and after.</param>
    [Theory]
    [InlineData(0)]
    [InlineData(300)]
    [InlineData(600)]
    [InlineData(1200)]
    public async Task However_soon_a_daemon_is_stopped_its_instances_are_let_go_in_order(int milliseconds)
    {
        using var daemon = StartDaemon();
        var log = daemon.StandardError.ReadToEndAsync();
        Assert.Contains(" ready: ", await daemon.StandardOutput.ReadLineAsync().WaitAsync(Within));
        if (milliseconds > 0)
        {
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(milliseconds));
            await timer.WaitForNextTickAsync();
        }
        Terminate(daemon);
        await daemon.WaitForExitAsync().WaitAsync(Within);
        Assert.Equal(0, daemon.ExitCode);
        Assert.DoesNotContain("timed out", await log);
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
        using var daemon = Start(
            "--check", "--set", $"data-directory={directory}", "--set", "runner.network-mode=none");
        var (exitCode, output, error) = await EndAsync(daemon);
        Assert.Equal((0, ""), (exitCode, error));
        Assert.Contains($"data-directory = \"{directory}\"", output);
        Assert.False(Directory.Exists(directory));
    }
}
