using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace Runtara.Testing.Postgres;

/// <summary>
/// A PostgreSQL server of its own for tests: a fresh cluster in a temporary directory, on a free port of the loopback
/// interface, with fsync on as in production. Missing binaries are an error and never a reason to skip.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private readonly string _directory;
    private readonly string _binaries;
    private int _databases;

    private PostgresServer(string binaries, string directory, int port)
    {
        (_binaries, _directory, Port) = (binaries, directory, port);
        AppDomain.CurrentDomain.ProcessExit += OnProcessExit;
    }

    /// <summary>The port on 127.0.0.1.</summary>
    public int Port { get; }

    private string Data => Path.Combine(_directory, "data");

    /// <summary>Makes the cluster and starts the server. Takes a second or two.</summary>
    public static Task<PostgresServer> StartAsync() =>
        StartAsync(Directory.CreateTempSubdirectory("runtara-pg-").FullName);

    /// <summary>The same in a new directory of the test's choice, which goes in the end.</summary>
    public static async Task<PostgresServer> StartAsync(string directory)
    {
        var binaries = FindBinaries();
        Directory.CreateDirectory(directory);
        if (Environment.UserName == "root")
            await RunAsync("chown", ["postgres", directory]);
        var server = new PostgresServer(binaries, directory, FreePort());
        await server.RunToolAsync(
            "initdb", "-D", server.Data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync");
        await server.StartServerAsync();
        return server;
    }

    /// <summary>The URL of a database on this server.</summary>
    public string UrlOf(string database) =>
        string.Create(CultureInfo.InvariantCulture, $"postgres://postgres@127.0.0.1:{Port}/{database}");

    /// <summary>Makes an empty database and gives its URL.</summary>
    public async Task<string> CreateDatabaseAsync()
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"test{Interlocked.Increment(ref _databases)}");
        await ExecuteAsync("postgres", $"CREATE DATABASE {name}");
        return UrlOf(name);
    }

    /// <summary>Runs a statement and returns the first value of its first row, if any.</summary>
    public async Task<object?> ExecuteAsync(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(string.Create(
            CultureInfo.InvariantCulture,
            $"Host=127.0.0.1;Port={Port};Username=postgres;Database={database};Pooling=false"));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }

    /// <summary>Crashes the server and starts it again: what was not committed is gone.</summary>
    public async Task CrashRestartAsync()
    {
        await StopAsync("immediate");
        await StartServerAsync();
    }

    /// <summary>Stops the server; <paramref name="mode"/> is pg_ctl's: fast or immediate.</summary>
    public Task StopAsync(string mode) => RunToolAsync("pg_ctl", "-D", Data, "-m", mode, "-w", "stop");

    /// <summary>Starts the server again after <see cref="StopAsync"/>.</summary>
    public Task StartServerAsync() => RunToolAsync(
        "pg_ctl", "-D", Data, "-l", Path.Combine(_directory, "log"), "-w", "-o",
        string.Create(
            CultureInfo.InvariantCulture,
            $"-c listen_addresses=127.0.0.1 -p {Port} -c unix_socket_directories={_directory} -c fsync=on")
            // A store may take as many as the default of 100, and a test wants one of its own.
            + " -c max_connections=200",
        "start");

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        AppDomain.CurrentDomain.ProcessExit -= OnProcessExit;
        NpgsqlConnection.ClearAllPools();
        await StopAsync("immediate");
        Directory.Delete(_directory, recursive: true);
    }

    private static string FindBinaries()
    {
        var installed = Directory.Exists("/usr/lib/postgresql")
            ? Directory.GetDirectories("/usr/lib/postgresql").Select(d => Path.Combine(d, "bin"))
            : [];
        var path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries);
        return installed.OrderByDescending(VersionOf).Concat(path).FirstOrDefault(
                d => File.Exists(Path.Combine(d, "initdb")) && File.Exists(Path.Combine(d, "pg_ctl")))
            ?? throw new InvalidOperationException(
                "These tests need PostgreSQL's server binaries (initdb, pg_ctl): apt-get install postgresql");
    }

    private static int VersionOf(string binaries) =>
        int.TryParse(
            Path.GetFileName(Path.GetDirectoryName(binaries)), NumberStyles.None, CultureInfo.InvariantCulture,
            out var version) ? version : 0;

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    // The server refuses to run as root.
    private Task RunToolAsync(string tool, params string[] arguments) =>
        Environment.UserName == "root"
            ? RunAsync("runuser", ["-u", "postgres", "--", Path.Combine(_binaries, tool), .. arguments])
            : RunAsync(Path.Combine(_binaries, tool), arguments);

    private static async Task RunAsync(string file, string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(file, arguments)
        {
            WorkingDirectory = "/",
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{file} {string.Join(' ', arguments)}: {await output}{await error}");
    }

    private void OnProcessExit(object? sender, EventArgs e) => StopAsync("immediate").GetAwaiter().GetResult();
}
