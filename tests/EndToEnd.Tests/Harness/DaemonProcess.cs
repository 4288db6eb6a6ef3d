using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Runtara.EndToEnd.Tests.Harness;

/// <summary>
/// A real daemon: its own process, data directory and ports; killed and started again as the test likes. Ports stay
/// the same over restarts.
/// </summary>
internal sealed class DaemonProcess : IAsyncDisposable
{
    private const int LogLines = 300;
    private static readonly TimeSpan ReadyWithin = TimeSpan.FromSeconds(60);
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(10) };

    private readonly ITestOutputHelper _output;
    private readonly string? _databaseUrl;
    private readonly string[] _settings;
    private readonly StringBuilder _log = new();
    private readonly int _healthPort = FreePort(SocketType.Stream);
    private Process? _process;

    /// <summary>Not started yet. Its log ends in <paramref name="output"/>, which a failed test shows.</summary>
    public DaemonProcess(ITestOutputHelper output, string? databaseUrl = null, params string[] settings)
    {
        _output = output;
        _databaseUrl = databaseUrl;
        _settings = settings;
        DataDirectory = Directory.CreateTempSubdirectory("runtara-e2e-").FullName;
        Environment = new IPEndPoint(IPAddress.Loopback, FreePort(SocketType.Dgram));
        Instance = new IPEndPoint(IPAddress.Loopback, FreePort(SocketType.Dgram));
        Client = new EnvironmentClient(Environment);
    }

    /// <summary>This many of 100 database calls fail before, fail after, are late. The log has the seed.</summary>
    public int FaultPercent { get; init; }

    /// <summary>A new one, unless the test has a place for it.</summary>
    public string DataDirectory
    {
        get;
        init
        {
            if (field is not null)
                Directory.Delete(field);
            field = Directory.CreateDirectory(value).FullName;
        }
    }

    public IPEndPoint Environment { get; }

    public IPEndPoint Instance { get; }

    public EnvironmentClient Client { get; }

    public int ProcessId => _process!.Id;

    /// <summary>Resident memory of the process, in bytes.</summary>
    public long MemoryBytes
    {
        get
        {
            _process!.Refresh();
            return _process.WorkingSet64;
        }
    }

    public bool IsRunning => _process is { HasExited: false };

    public string Log
    {
        get
        {
            lock (_log)
                return _log.ToString();
        }
    }

    public string RunDirectory(string tenant, string instance) =>
        Path.Combine(DataDirectory, tenant, "runs", instance);

    /// <summary>What the workflow has written so far; null when it has not begun.</summary>
    public WorkflowLog? LogOf(string tenant, string instance) =>
        File.Exists(Path.Combine(RunDirectory(tenant, instance), "workspace", "log"))
            ? WorkflowLog.Read(RunDirectory(tenant, instance))
            : null;

    public async Task StartAsync(params string[] settings)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            ArgumentList = { Repository.Daemon },
        };
        foreach (var setting in (string[])[
            $"data-directory={DataDirectory}", $"environment.listen={Environment}", $"instance.listen={Instance}",
            $"health.listen=127.0.0.1:{_healthPort}", "runner.network-mode=none", "runner.stop-containers-on-exit=true",
            $"database.fault-percent={FaultPercent}", .. _settings, .. settings])
        {
            start.ArgumentList.Add("--set");
            start.ArgumentList.Add(setting);
        }
        if (_databaseUrl is not null)
            start.Environment["RUNTARA_DATABASE_URL"] = _databaseUrl;
        else
            start.Environment.Remove("RUNTARA_DATABASE_URL");
        if (FaultPercent > 0)
            start.Environment["RUNTARA_INJECT_FAULTS"] = "yes";
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _process = new Process { StartInfo = start, EnableRaisingEvents = true };
        _process.OutputDataReceived += (_, e) =>
        {
            Append(e.Data);
            if (e.Data?.Contains(" ready: ", StringComparison.Ordinal) == true)
                ready.TrySetResult();
        };
        _process.ErrorDataReceived += (_, e) => Append(e.Data);
        _process.Exited += (_, _) => ready.TrySetException(new InvalidOperationException("the daemon ended"));
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        try
        {
            await ready.Task.WaitAsync(ReadyWithin);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"the daemon did not become ready; its log:\n{Log}", e);
        }
    }

    private void Append(string? line)
    {
        if (line is null)
            return;
        lock (_log)
            _log.AppendLine(line);
    }

    /// <summary>SIGKILL: nothing of the daemon gets to say goodbye.</summary>
    public async Task KillAsync()
    {
        _process!.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    /// <summary>SIGTERM, and the exit code.</summary>
    public async Task<int> TerminateAsync()
    {
        using var kill = Process.Start(
            "kill", ["-TERM", ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        await _process!.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        return _process.ExitCode;
    }

    /// <summary>One number of <c>/stats</c>.</summary>
    public async Task<int> StatAsync(string name)
    {
        using var stats = JsonDocument.Parse(await Http.GetStringAsync($"http://127.0.0.1:{_healthPort}/stats"));
        return stats.RootElement.GetProperty(name).GetInt32();
    }

    public async Task<HttpStatusCode> ProbeAsync(string path)
    {
        using var response = await Http.GetAsync($"http://127.0.0.1:{_healthPort}/{path}");
        return response.StatusCode;
    }

    /// <summary>What it says there, whatever the status.</summary>
    public async Task<string> ReadAsync(string path)
    {
        using var response = await Http.GetAsync($"http://127.0.0.1:{_healthPort}/{path}");
        return await response.Content.ReadAsStringAsync();
    }

    private void WriteLog()
    {
        var lines = Log.TrimEnd().Split('\n');
        _output.WriteLine(
            $"The daemon in {DataDirectory}, the seeds of its faults and the last {LogLines} of {lines.Length} lines:");
        foreach (var (i, line) in lines.Index())
        {
            if (i >= lines.Length - LogLines || line.Contains("; seed ", StringComparison.Ordinal))
                _output.WriteLine(line);
        }
    }

    private static int FreePort(SocketType type)
    {
        using var socket = new Socket(
            AddressFamily.InterNetwork, type, type == SocketType.Dgram ? ProtocolType.Udp : ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        try
        {
            if (_process is not null && IsRunning)
                await TerminateAsync();
        }
        finally
        {
            WriteLog();
        }
        Directory.Delete(DataDirectory, recursive: true);
    }
}
