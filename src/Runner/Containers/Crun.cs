using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Runtara.Runner.Native;

namespace Runtara.Runner.Containers;

/// <summary>
/// The container runtime, with a state directory of our own: <c>crun --root {data}/crun</c>. What is there belongs to
/// this daemon and to no other.
/// </summary>
internal sealed class Crun(RunnerOptions options, string root, CgroupManager cgroups, TimeProvider time, ILogger log)
{
    private static readonly TimeSpan CommandTimeout = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan KillTimeout = TimeSpan.FromSeconds(10);

    /// <summary>The program that a launch starts.</summary>
    internal string Program => options.NetworkMode == NetworkMode.Pasta ? options.PastaPath : options.CrunPath;

    /// <summary>The arguments of a launch; the first is the program to start.</summary>
    internal IReadOnlyList<string> RunCommand(
        string container, string bundle, string config, string logFile, string pidFile)
    {
        string[] crun =
        [
            options.CrunPath, .. Global(), "--log", logFile, "--log-format", "json", "run", "--pid-file", pidFile,
            "--bundle", bundle, "--config", config, container,
        ];
        if (options.NetworkMode != NetworkMode.Pasta)
            return crun;
        var dns = options.PastaDns.SelectMany(address => new[] { "--dns", address });
        return [options.PastaPath, "--config-net", .. dns, "--", .. crun];
    }

    internal bool Knows(string container) => Directory.Exists(Path.Combine(root, container));

    /// <summary>Signals the container's first process; false when it does not run.</summary>
    internal async Task<bool> SignalAsync(string container, int signal) =>
        (await CallAsync("kill", container, signal.ToString())).Exit.ExitCode == 0;

    /// <summary>Returns when no process of the container is left and crun has forgotten it.</summary>
    internal async Task EnsureDeadAsync(string container)
    {
        if (!Knows(container))
            return;
        log.LeftoverKilled(container);
        var init = await InitAsync(container);
        var deletion = await CallAsync("delete", "--force", container);
        if (init is { } process)
            await ProcessTable.KillTreeAsync(process, time, KillTimeout);
        if (!Knows(container))
            return;
        // A crun killed half-way leaves a state that it cannot read itself; nothing runs any more by now.
        try
        {
            Directory.Delete(Path.Combine(root, container), recursive: true);
        }
        catch (IOException)
        {
            throw new RunnerException($"the earlier container {container} cannot be removed: {deletion.Stderr}");
        }
    }

    /// <summary>
    /// Ends everything that earlier daemons left here: launches under way first, then containers; all but what runs
    /// below these supervisors.
    /// </summary>
    internal async Task SweepAsync(IReadOnlyCollection<int> supervisors, IReadOnlySet<string> containers)
    {
        var all = ProcessTable.All();
        var spared = supervisors.SelectMany(id => ProcessTable.Descendants(id, all)).Select(p => p.Id)
            .Concat(supervisors).Append(Environment.ProcessId).ToHashSet();
        var launchers = all.Where(p => !spared.Contains(p.Id) && ProcessTable.HasArgument(p.Id, root)).ToList();
        var doomed = launchers.SelectMany(p => ProcessTable.Descendants(p.Id, all)).Concat(launchers).Distinct();
        await ProcessTable.KillAsync(doomed.ToList(), time, KillTimeout);
        foreach (var directory in Directory.GetDirectories(root))
        {
            if (!containers.Contains(Path.GetFileName(directory)))
                await EnsureDeadAsync(Path.GetFileName(directory));
        }
    }

    private async Task<ProcessEntry?> InitAsync(string container)
    {
        try
        {
            var bytes = await File.ReadAllBytesAsync(Path.Combine(root, container, "status"));
            using var status = JsonDocument.Parse(bytes);
            var id = status.RootElement.GetProperty("pid").GetInt32();
            var started = status.RootElement.GetProperty("process-start-time").GetUInt64();
            return ProcessTable.Find(id) is { } entry && entry.StartTime == started ? entry : null;
        }
        catch (Exception e) when (e is IOException or JsonException or KeyNotFoundException)
        {
            return null;
        }
    }

    private async Task<(ChildExit Exit, string Stderr)> CallAsync(params string[] arguments)
    {
        var stderr = new StringBuilder();
        string[] all = [.. Global(), .. arguments];
        var child = ChildProcess.Start(options.CrunPath, all, bytes =>
        {
            if (stderr.Length < 4096)
                stderr.Append(Encoding.UTF8.GetString(bytes));
        }) ?? throw Missing(options.CrunPath);
        try
        {
            var exit = await child.Exited.WaitAsync(CommandTimeout, time);
            return (exit, stderr.ToString().Trim());
        }
        catch (TimeoutException)
        {
            child.Kill();
            throw new RunnerException($"{options.CrunPath} {arguments[0]} does not return");
        }
    }

    /// <summary>The error for a program that is not there: what to install.</summary>
    internal static RunnerException Missing(string program)
    {
        var package = Path.GetFileName(program) == "pasta" ? "passt" : "crun";
        return new RunnerException($"'{program}' is not installed or not in PATH (Debian package: {package})");
    }

    private string[] Global() => cgroups switch
    {
        CgroupManager.Systemd => ["--root", root, "--cgroup-manager", "systemd"],
        CgroupManager.Disabled => ["--root", root, "--cgroup-manager", "disabled"],
        _ => ["--root", root, "--cgroup-manager", "cgroupfs"],
    };
}
