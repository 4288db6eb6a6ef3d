using Runtara.Runner;
using static Runtara.Daemon.Configuration.SettingTable;
using static Runtara.Daemon.Configuration.SettingTypes;

namespace Runtara.Daemon.Configuration;

/// <summary>The keys below <c>runtara.runner</c>.</summary>
internal static class RunnerSettings
{
    private static readonly SettingType<NetworkMode> Network = new(
        "pasta, host or none",
        (c, k) => c.GetString(k).ToLowerInvariant() is "pasta" or "host" or "none" or "isolated"
            ? RunnerOptions.ParseNetworkMode(c.GetString(k))
            : throw new FormatException(),
        v => v.ToString().ToLowerInvariant(), Quote);

    private static readonly SettingType<CgroupManager> Cgroups = new(
        "auto, cgroupfs, systemd or disabled",
        (c, k) => Enum.TryParse<CgroupManager>(c.GetString(k), ignoreCase: true, out var parsed)
            && Enum.IsDefined(parsed) ? parsed : throw new FormatException(),
        v => v.ToString().ToLowerInvariant(),
        // USE_SYSTEMD_CGROUP is a switch.
        v => v.Trim().ToLowerInvariant() is "1" or "true" or "yes" or "on" ? "systemd" : "auto");

    public static IEnumerable<Setting> All =>
    [
        Of("runner.capacity", "RUNTARA_MAX_CONCURRENT_INSTANCES", "containers at once; the rest wait", Count,
            o => o.Runner.Capacity, (o, v) => o.Runner = o.Runner with { Capacity = Math.Max(1, v) }),
        Of("runner.slot-timeout", null, "how long a granted slot waits for its launch", Duration,
            o => o.Runner.SlotTimeout, (o, v) => o.Runner = o.Runner with { SlotTimeout = v }),
        Of("runner.disk-free-min", null, "with less room on the data directory's disk no container is started", Bytes,
            o => o.Runner.DiskFreeBytesMin, (o, v) => o.Runner = o.Runner with { DiskFreeBytesMin = v }),
        Of("runner.disk-inodes-min", null, "with fewer free inodes on that disk no container is started; 0: any", Count,
            o => o.Runner.DiskInodesMin, (o, v) => o.Runner = o.Runner with { DiskInodesMin = v }),
        Of("runner.network-mode", "RUNTARA_NETWORK_MODE", "pasta, host or none", Network,
            o => o.Runner.NetworkMode, (o, v) => o.Runner = o.Runner with { NetworkMode = v }),
        Of("runner.pasta-dns", "RUNTARA_PASTA_DNS", "name servers that pasta offers", List,
            o => o.Runner.PastaDns, (o, v) => o.Runner = o.Runner with { PastaDns = v }),
        Of("runner.crun", null, "the container runtime, a path or a name in PATH", Text,
            o => o.Runner.CrunPath, (o, v) => o.Runner = o.Runner with { CrunPath = v }),
        Of("runner.pasta", null, "the network program, a path or a name in PATH", Text,
            o => o.Runner.PastaPath, (o, v) => o.Runner = o.Runner with { PastaPath = v }),
        Of("runner.cgroup-manager", "USE_SYSTEMD_CGROUP", "auto, cgroupfs, systemd or disabled", Cgroups,
            o => o.Runner.CgroupManager, (o, v) => o.Runner = o.Runner with { CgroupManager = v }),
        Of("runner.memory-limit", null, "memory of one container", Bytes,
            o => o.Runner.MemoryLimitBytes, (o, v) => o.Runner = o.Runner with { MemoryLimitBytes = v }),
        Of("runner.cpu-quota-percent", null, "CPU time of one container, in percent of one core", Count,
            o => o.Runner.CpuQuotaPercent, (o, v) => o.Runner = o.Runner with { CpuQuotaPercent = v }),
        Of("runner.pids-max", null, "processes and threads of one container", Count,
            o => o.Runner.PidsMax, (o, v) => o.Runner = o.Runner with { PidsMax = v }),
        Of("runner.skip-certificate-verification", "RUNTARA_SKIP_CERT_VERIFICATION",
            "whether workflows are told to skip certificate verification", Switch,
            o => o.Runner.SkipCertificateVerification,
            (o, v) => o.Runner = o.Runner with { SkipCertificateVerification = v }),
        Of("runner.connection-service-url", "RUNTARA_CONNECTION_SERVICE_URL", "CONNECTION_SERVICE_URL of workflows",
            Text, o => o.Runner.ConnectionServiceUrl ?? "",
            (o, v) => o.Runner = o.Runner with { ConnectionServiceUrl = v.Length == 0 ? null : v }),
        Of("runner.launch-timeout", null, "how long a container may take to come up", Duration,
            o => o.Runner.LaunchTimeout, (o, v) => o.Runner = o.Runner with { LaunchTimeout = v }),
        Of("runner.prepare-timeout", null, "how long image and input may take to come to this node", Duration,
            o => o.Runner.PrepareTimeout, (o, v) => o.Runner = o.Runner with { PrepareTimeout = v }),
        Of("runner.stop-containers-on-exit", null, "whether containers end with the daemon instead of running on",
            Switch, o => o.Runner.StopContainersOnExit,
            (o, v) => o.Runner = o.Runner with { StopContainersOnExit = v }),
        Of("runner.orphan-grace", null, "how often an instance is asked whether a container that was found is its own",
            DurationOrZero, o => o.Runner.OrphanGrace, (o, v) => o.Runner = o.Runner with { OrphanGrace = v }),
        Of("runner.stop-grace", null, "from SIGTERM to SIGKILL when the daemon stops and stops containers",
            DurationOrZero, o => o.Runner.StopGrace, (o, v) => o.Runner = o.Runner with { StopGrace = v }),
        Of("runner.stderr-bytes-max", null, "the most that is kept of a standard error", Bytes,
            o => o.Runner.StderrBytesMax, (o, v) => o.Runner = o.Runner with { StderrBytesMax = checked((int)v) }),
        Of("images.unpacked-max-bytes", null, "the largest root file system of an image, decompressed", Bytes,
            o => o.Runner.ImageUnpackedBytesMax, (o, v) => o.Runner = o.Runner with { ImageUnpackedBytesMax = v }),
        Of("images.entries-max", null, "files, directories and links in the root file system of an image", Count,
            o => o.Runner.ImageEntriesMax, (o, v) => o.Runner = o.Runner with { ImageEntriesMax = v }),
        Of("images.keep-unused", null, "how long a node keeps its copy of an image that no container runs from",
            RetentionSettings.Age, o => o.Runner.ImageKeepUnused,
            (o, v) => o.Runner = o.Runner with { ImageKeepUnused = v }),
        Of("runner.output-bytes-max", null, "the largest output.json", Bytes,
            o => o.Runner.OutputBytesMax, (o, v) => o.Runner = o.Runner with { OutputBytesMax = checked((int)v) }),
    ];
}
