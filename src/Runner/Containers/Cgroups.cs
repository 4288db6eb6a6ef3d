using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Runtara.Runner.Containers;

/// <summary>What a container used, where its control group told.</summary>
internal sealed record CgroupUsage(bool OutOfMemory, long? MemoryPeakBytes, long? CpuMicroseconds);

/// <summary>
/// Control groups (version 2). Each container's group lies in one of ours, <c>runtara/{container}</c>: crun removes its
/// own at the exit, and ours still has peak, CPU time and out-of-memory kills of all below it.
/// </summary>
internal sealed class Cgroups(CgroupManager manager, string mount = Cgroups.DefaultMount)
{
    internal const string DefaultMount = "/sys/fs/cgroup";
    private const string Parent = "runtara";

    internal CgroupManager Manager => manager;

    /// <summary>Finds out what this machine can do; a warning says so when limits will not be enforced.</summary>
    internal static Cgroups Detect(CgroupManager wanted, ILogger log, string mount = DefaultMount)
    {
        if (wanted != CgroupManager.Auto)
            return new Cgroups(wanted, mount);
        if (Obstacle(mount) is not { } obstacle)
            return new Cgroups(CgroupManager.Cgroupfs, mount);
        log.LimitsNotEnforced(obstacle);
        return new Cgroups(CgroupManager.Disabled, mount);
    }

    /// <summary>Where crun is to put the container; null when nothing keeps limits.</summary>
    internal string? PathFor(string container) => manager switch
    {
        CgroupManager.Disabled => null,
        CgroupManager.Systemd => $":{Parent}:{container}",
        _ => $"/{Parent}/{container}/run",
    };

    /// <summary>Makes our group for the container; its counters begin at zero.</summary>
    internal void Create(string container)
    {
        if (manager != CgroupManager.Cgroupfs)
            return;
        var group = Path.Combine(mount, Parent, container);
        Remove(group);
        Directory.CreateDirectory(group);
    }

    /// <summary>Reads what the container used and removes our group; null when there is none.</summary>
    internal CgroupUsage? Collect(string container)
    {
        var group = Path.Combine(mount, Parent, container);
        if (manager != CgroupManager.Cgroupfs || !Directory.Exists(group))
            return null;
        var usage = Read(group);
        TryRemove(group);
        return usage;
    }

    /// <summary>
    /// Removes the groups that were left behind, all but those of these containers. One with a process in it stays.
    /// </summary>
    internal void Sweep(IReadOnlySet<string> containers)
    {
        var ours = Path.Combine(mount, Parent);
        if (manager != CgroupManager.Cgroupfs || !Directory.Exists(ours))
            return;
        foreach (var group in Directory.GetDirectories(ours))
        {
            if (!containers.Contains(Path.GetFileName(group)))
                TryRemove(group);
        }
    }

    private static CgroupUsage? Read(string group)
    {
        try
        {
            return new CgroupUsage(
                Field(Path.Combine(group, "memory.events"), "oom_kill") > 0,
                Number(Path.Combine(group, "memory.peak")),
                Field(Path.Combine(group, "cpu.stat"), "usage_usec"));
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static void TryRemove(string group)
    {
        try
        {
            Remove(group);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The next launch of the instance, or the next daemon, tries again.
        }
    }

    // A crun that was killed leaves its group below ours. Files of a group go with it and cannot be removed.
    private static void Remove(string group)
    {
        if (!Directory.Exists(group))
            return;
        foreach (var below in Directory.GetDirectories(group))
            Remove(below);
        Directory.Delete(group);
    }

    private static string? Obstacle(string mount)
    {
        var controllers = Path.Combine(mount, "cgroup.controllers");
        if (!File.Exists(controllers))
            return $"{mount} is not cgroup v2 alone";
        try
        {
            var available = File.ReadAllText(controllers).Split(' ', '\n');
            if (new[] { "memory", "cpu", "pids" }.FirstOrDefault(c => !available.Contains(c)) is { } missing)
                return $"{mount} has no {missing} controller";
            File.WriteAllText(Path.Combine(mount, "cgroup.subtree_control"), "+memory +cpu +pids");
            Directory.CreateDirectory(Path.Combine(mount, Parent));
            File.WriteAllText(Path.Combine(mount, Parent, "cgroup.subtree_control"), "+memory +cpu +pids");
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"{mount} cannot be written: {e.Message}";
        }
    }

    private static long? Number(string path) =>
        File.Exists(path) && long.TryParse(File.ReadAllText(path), CultureInfo.InvariantCulture, out var value)
            ? value : null;

    private static long? Field(string path, string name)
    {
        if (!File.Exists(path))
            return null;
        var line = File.ReadLines(path).FirstOrDefault(l => l.StartsWith(name + " ", StringComparison.Ordinal));
        return line is not null && long.TryParse(line[(name.Length + 1)..], CultureInfo.InvariantCulture, out var value)
            ? value : null;
    }
}
