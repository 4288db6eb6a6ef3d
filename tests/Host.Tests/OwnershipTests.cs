using System.Diagnostics;
using Npgsql;
using Runtara.Testing.Postgres;
using static Runtara.Host.Tests.RealDaemon;

namespace Runtara.Host.Tests;

/// <summary>
/// Two daemons on one database would take each other's live instances for lost: one works, and the other never begins.
/// </summary>
public sealed class OwnershipTests : IAsyncLifetime
{
    private const string LockOfDaemons = "locktype = 'advisory' AND granted AND objsubid = 2";

    private readonly string _directory = Directory.CreateTempSubdirectory("runtara-own-").FullName;
    private readonly Lazy<Task<PostgresServer>> _server = new(PostgresServer.StartAsync);

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (_server.IsValueCreated)
            await (await _server.Value).DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private string First => Path.Combine(_directory, "a");

    private string Second => Path.Combine(_directory, "b");

    // The first daemon's own file, which its data directory's lock keeps nobody off.
    private async Task<string> UrlAsync(string database) => database == "SQLite"
        ? $"sqlite:{First}/runtara.db"
        : await (await _server.Value).CreateDatabaseAsync();

    [Theory]
    [InlineData("SQLite")]
    [InlineData("PostgreSQL")]
    public async Task A_second_daemon_on_one_database_ends_and_says_who_holds_it(string database)
    {
        var url = await UrlAsync(database);
        using var first = new Running(await ReadyAsync(First, url));
        var (exitCode, output, error) = await EndAsync(
            StartOn(Second, $"database-url={url}", "database.owner-timeout=1s"));
        Assert.Equal((1, ""), (exitCode, output));
        Assert.EndsWith(
            $"runtarad: cannot run: another runtarad uses the database {url}: process {first.Process.Id} on "
                + $"{Environment.MachineName} with the data directory '{First}'; stop it, or give this one a database "
                + "of its own (runtara.database-url)\n",
            error);
        Assert.Contains("Waiting for up to 1 s", error);
        Assert.DoesNotContain("   at ", error);
        Assert.False(first.Process.HasExited);
        Terminate(first.Process);
        await first.Process.WaitForExitAsync().WaitAsync(Within);
        Assert.Equal(0, first.Process.ExitCode);
        using var next = new Running(await ReadyAsync(Second, url));
    }

    [Fact]
    public async Task Another_name_of_a_SQLite_file_is_the_same_database()
    {
        using var first = new Running(await ReadyAsync(First, await UrlAsync("SQLite")));
        Directory.CreateDirectory(Second);
        var link = Path.Combine(Second, "link.db");
        File.CreateSymbolicLink(link, Path.Combine(First, "runtara.db"));
        var (exitCode, _, error) = await EndAsync(
            StartOn(Second, $"database-url=sqlite:{link}", "database.owner-timeout=0s"));
        Assert.Equal(1, exitCode);
        Assert.Contains($"another runtarad uses the database sqlite:{link}: process {first.Process.Id} on", error);
    }

    [Theory]
    [InlineData("SQLite")]
    [InlineData("PostgreSQL")]
    public async Task A_daemon_that_was_killed_keeps_no_successor_out(string database)
    {
        var url = await UrlAsync(database);
        for (var i = 0; i < 3; i++)
        {
            using var next = new Running(await ReadyAsync(i % 2 == 0 ? First : Second, url));
            next.Process.Kill();
        }
    }

    [Fact]
    public async Task A_lost_lock_is_taken_again_and_keeps_others_off_as_before()
    {
        var url = await UrlAsync("PostgreSQL");
        using var first = new Running(await ReadyAsync(First, url));
        var holder = await HolderAsync(0);
        await (await _server.Value).ExecuteAsync("test1", $"SELECT pg_terminate_backend({holder})");
        var again = await HolderAsync(holder);
        await (await _server.Value).CrashRestartAsync();
        await HolderAsync(again);
        var (exitCode, _, error) = await EndAsync(
            StartOn(Second, $"database-url={url}", "database.owner-timeout=0s"));
        Assert.Equal(1, exitCode);
        Assert.Contains($"another runtarad uses the database {url}: process {first.Process.Id} on", error);
        Assert.False(first.Process.HasExited);
    }

    [Fact]
    public async Task A_daemon_that_loses_its_database_to_another_ends_at_once_and_says_to_whom()
    {
        var url = await UrlAsync("PostgreSQL");
        using var first = new Running(await ReadyAsync(First, url));
        var holder = await HolderAsync(0);
        await using var source = NpgsqlDataSource.Create(
            $"Host=127.0.0.1;Port={(await _server.Value).Port};Username=postgres;Database=test1;"
            + "Application Name=runtarad 7@elsewhere /data");
        await using var other = await source.OpenConnectionAsync();
        await using var next = new NpgsqlCommand(
            $"SELECT pg_advisory_lock(classid::int, objid::int) FROM pg_locks WHERE {LockOfDaemons}", other);
        var taken = next.ExecuteNonQueryAsync();
        while (await CountAsync("locktype = 'advisory' AND NOT granted") == 0)
            Assert.False(taken.IsCompleted);
        await (await _server.Value).ExecuteAsync("test1", $"SELECT pg_terminate_backend({holder})");
        await taken;
        await first.Process.WaitForExitAsync().WaitAsync(Within);
        Assert.Equal(1, first.Process.ExitCode);
        Assert.EndsWith(
            $"runtarad: cannot go on: another runtarad uses the database {url}: process 7 on elsewhere with the data "
                + "directory '/data'; stop it, or give this one a database of its own (runtara.database-url)\n",
            await first.Log);
    }

    private static async Task<Process> ReadyAsync(string dataDirectory, string url)
    {
        var daemon = StartOn(dataDirectory, $"database-url={url}");
        var line = await daemon.StandardOutput.ReadLineAsync().WaitAsync(Within);
        Assert.True(
            line?.Contains(" ready: ", StringComparison.Ordinal), line ?? await daemon.StandardError.ReadToEndAsync());
        return daemon;
    }

    /// <summary>The session that has the lock, once it is another than <paramref name="former"/>.</summary>
    private async Task<int> HolderAsync(int former)
    {
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < Within)
        {
            var holder = await (await _server.Value).ExecuteAsync(
                "test1", $"SELECT pid FROM pg_locks WHERE {LockOfDaemons}");
            if (holder is int pid && pid != former)
                return pid;
        }
        throw new TimeoutException("nobody holds the lock");
    }

    private async Task<long> CountAsync(string locks) => (long)(await (await _server.Value).ExecuteAsync(
        "test1", $"SELECT count(*) FROM pg_locks WHERE {locks}"))!;

    /// <summary>A daemon that does not outlive its test.</summary>
    private sealed class Running(Process process) : IDisposable
    {
        public Process Process { get; } = process;

        public Task<string> Log { get; } = process.StandardError.ReadToEndAsync();

        public void Dispose()
        {
            if (!Process.HasExited)
                Process.Kill();
            Process.WaitForExit();
            Process.Dispose();
        }
    }
}
