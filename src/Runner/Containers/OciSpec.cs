using System.Text.Json.Nodes;
using Runtara.Actors.Images;
using Runtara.Runner.Native;

namespace Runtara.Runner.Containers;

/// <summary>What differs between two containers of one node.</summary>
internal sealed record ContainerSettings(
    string RootFileSystem, string RunDirectory, IReadOnlyList<string> Environment, string? CgroupPath)
{
    /// <summary>What to start in it.</summary>
    internal ImageProgram Program { get; init; } = ImageProgram.Default;
}

/// <summary>
/// The <c>config.json</c> of a container (environment protocol §6.1; stricter where that page's §12.29 complains).
/// </summary>
internal static class OciSpec
{
    private static readonly string[] MaskedPaths =
    [
        "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
    ];

    private static readonly string[] ReadonlyPaths =
        ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

    private static readonly string[] Devices =
        ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

    internal static byte[] ToBytes(RunnerOptions options, ContainerSettings settings) =>
        System.Text.Encoding.UTF8.GetBytes(Build(options, settings).ToJsonString(Pretty));

    private static readonly System.Text.Json.JsonSerializerOptions Pretty = new() { WriteIndented = true };

    private static JsonObject Build(RunnerOptions options, ContainerSettings settings) => new()
    {
        ["ociVersion"] = "1.0.0",
        ["process"] = Process(settings),
        ["root"] = new JsonObject { ["path"] = settings.RootFileSystem, ["readonly"] = true },
        ["mounts"] = Mounts(settings),
        ["linux"] = Linux(options, settings),
    };

    private static JsonObject Process(ContainerSettings settings) => new()
    {
        ["terminal"] = false,
        ["user"] = new JsonObject { ["uid"] = 0, ["gid"] = 0 },
        ["args"] = Array(settings.Program.Command),
        ["env"] = Array(settings.Environment),
        ["cwd"] = settings.Program.WorkingDirectory,
        ["capabilities"] = new JsonObject
        {
            ["bounding"] = new JsonArray(),
            ["effective"] = new JsonArray(),
            ["inheritable"] = new JsonArray(),
            ["permitted"] = new JsonArray(),
            ["ambient"] = new JsonArray(),
        },
        ["noNewPrivileges"] = true,
        ["rlimits"] = new JsonArray(Limit("RLIMIT_CORE", 0), Limit("RLIMIT_NOFILE", FilesMax())),
    };

    private static JsonObject Limit(string type, ulong value) =>
        new() { ["type"] = type, ["soft"] = value, ["hard"] = value };

    // Above our own hard limit the kernel refuses a daemon that is not root.
    private static unsafe ulong FilesMax()
    {
        const int noFile = 7;
        var limits = stackalloc ulong[2];
        return Libc.GetLimit(noFile, limits) == 0 ? Math.Min(65_536, limits[1]) : 1024;
    }

    private static JsonArray Mounts(ContainerSettings settings)
    {
        var mounts = new JsonArray
        {
            Mount("/proc", "proc", "proc", "hidepid=2", "nosuid", "noexec", "nodev"),
            Mount("/dev", "tmpfs", "tmpfs", "nosuid", "noexec", "strictatime", "mode=755", "size=65536k"),
            Mount("/tmp", "tmpfs", "tmpfs", "nosuid", "nodev", "mode=1777", "size=65536k"),
        };
        foreach (var file in new[] { "/etc/resolv.conf", "/etc/hosts" })
        {
            if (File.Exists(file))
                mounts.Add((JsonNode)Mount(file, "bind", file, "bind", "ro", "noexec"));
        }
        foreach (var device in Devices)
            mounts.Add((JsonNode)Mount(device, "bind", device, "bind", "rw", "nosuid", "noexec"));
        mounts.Add((JsonNode)Mount("/data", "bind", settings.RunDirectory, "bind", "rw", "nosuid", "nodev", "noexec"));
        return mounts;
    }

    private static JsonObject Mount(string destination, string type, string source, params string[] options) => new()
    {
        ["destination"] = destination,
        ["type"] = type,
        ["source"] = source,
        ["options"] = Array(options),
    };

    private static JsonObject Linux(RunnerOptions options, ContainerSettings settings)
    {
        var linux = new JsonObject
        {
            ["namespaces"] = new JsonArray(
                Namespaces(options.NetworkMode).Select(n => (JsonNode)new JsonObject { ["type"] = n }).ToArray()),
            ["maskedPaths"] = Array(MaskedPaths),
            ["readonlyPaths"] = Array(ReadonlyPaths),
            ["seccomp"] = Seccomp.ToJson(),
        };
        if (options.NetworkMode != NetworkMode.Pasta)
        {
            linux["uidMappings"] = new JsonArray(Mapping(Libc.UserId()));
            linux["gidMappings"] = new JsonArray(Mapping(Libc.GroupId()));
        }
        if (settings.CgroupPath is null)
            return linux;
        linux["cgroupsPath"] = settings.CgroupPath;
        linux["resources"] = Resources(options);
        return linux;
    }

    // Pasta has made a user and a network namespace already.
    private static IEnumerable<string> Namespaces(NetworkMode mode) => mode switch
    {
        NetworkMode.Host => ["pid", "mount", "ipc", "uts", "user"],
        NetworkMode.None => ["pid", "mount", "ipc", "uts", "user", "network"],
        _ => ["pid", "mount", "ipc", "uts"],
    };

    private static JsonObject Mapping(uint host) => new() { ["containerID"] = 0, ["hostID"] = host, ["size"] = 1 };

    private static JsonObject Resources(RunnerOptions options)
    {
        const int period = 100_000;
        return new JsonObject
        {
            ["memory"] = new JsonObject { ["limit"] = options.MemoryLimitBytes },
            ["cpu"] = new JsonObject { ["quota"] = period / 100 * options.CpuQuotaPercent, ["period"] = period },
            ["pids"] = new JsonObject { ["limit"] = options.PidsMax },
        };
    }

    private static JsonArray Array(IEnumerable<string> values) =>
        new(values.Select(v => (JsonNode)v).ToArray());
}
