namespace Runtara.Runner;

/// <summary>How a container reaches the network (environment protocol §6.6).</summary>
public enum NetworkMode
{
    /// <summary>Its own network by <c>pasta</c>, as an unprivileged user's. The default.</summary>
    Pasta,

    /// <summary>The machine's network.</summary>
    Host,

    /// <summary>No network but its own loopback; the socket of the run directory still works.</summary>
    None,
}

/// <summary>Whom a network mode works for.</summary>
public static class NetworkModes
{
    /// <summary>Why it starts no container, and what to do; null when it may.</summary>
    public static string? Problem(NetworkMode mode, bool isRoot) => mode == NetworkMode.Pasta && isRoot
        ? "network mode pasta, the default, starts no container for root, because pasta gives up root's rights: run "
            + "the daemon as another user, or set runner.network-mode to none (no network; the C# SDK needs none) or "
            + "host (the machine's network)"
        : null;
}

/// <summary>What keeps the limits of a container.</summary>
public enum CgroupManager
{
    /// <summary>
    /// <see cref="Cgroupfs"/> where cgroup v2 with memory, cpu and pids is there and ours to write in, else
    /// <see cref="Disabled"/>, with a warning.
    /// </summary>
    Auto,

    /// <summary>Directories below <c>/sys/fs/cgroup/runtara</c>.</summary>
    Cgroupfs,

    /// <summary>Scopes of systemd.</summary>
    Systemd,

    /// <summary>No limits.</summary>
    Disabled,
}

/// <summary>The settings of the containers of one node.</summary>
public sealed record RunnerOptions
{
    /// <summary>Where run directories, cached images and crun's state live. Required; absolute or made so.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>
    /// What others than the runner keep in the data directory, by file name: no tenant's directory gets one of these.
    /// Default: nothing.
    /// </summary>
    public IReadOnlyCollection<string> KeptNames { get; init; } = [];

    /// <summary>How many containers run at once; the rest wait. Default: 16 for each core.</summary>
    public int Capacity { get; init; } = 16 * Environment.ProcessorCount;

    /// <summary>How long a granted slot waits for its launch before it goes to the next. Default: 60 s.</summary>
    public TimeSpan SlotTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The network of the containers. Default: pasta.</summary>
    public NetworkMode NetworkMode { get; init; } = NetworkMode.Pasta;

    /// <summary>The addresses that pasta offers as name servers; none means those of the machine.</summary>
    public IReadOnlyList<string> PastaDns { get; init; } = [];

    /// <summary>The container runtime, a path or a name in <c>PATH</c>. Default: <c>crun</c>.</summary>
    public string CrunPath { get; init; } = "crun";

    /// <summary>The network program, a path or a name in <c>PATH</c>. Default: <c>pasta</c>.</summary>
    public string PastaPath { get; init; } = "pasta";

    /// <summary>
    /// What must be free on the disk of the data directory for a container to be started, in bytes; with less, starts
    /// wait. Default: 64 MiB.
    /// </summary>
    public long DiskFreeBytesMin { get; init; } = 64L * 1024 * 1024;

    /// <summary>
    /// As <see cref="DiskFreeBytesMin"/>, of files that the disk can still hold: a launch makes about twenty. Default:
    /// 1,000.
    /// </summary>
    public int DiskInodesMin { get; init; } = 1000;

    /// <summary>What keeps the limits. Default: auto.</summary>
    public CgroupManager CgroupManager { get; init; } = CgroupManager.Auto;

    /// <summary>Memory of one container, in bytes. Default: 512 MiB.</summary>
    public long MemoryLimitBytes { get; init; } = 512L * 1024 * 1024;

    /// <summary>CPU time of one container in percent of one core. Default: 50.</summary>
    public int CpuQuotaPercent { get; init; } = 50;

    /// <summary>Processes and threads of one container. Default: 1,024.</summary>
    public int PidsMax { get; init; } = 1024;

    /// <summary>What the workflow gets as <c>RUNTARA_SERVER_ADDR</c>.</summary>
    public string ServerAddress { get; init; } = "127.0.0.1:8001";

    /// <summary>Whether the workflow gets <c>RUNTARA_SKIP_CERT_VERIFICATION=true</c>. Default: no.</summary>
    public bool SkipCertificateVerification { get; init; }

    /// <summary>What the workflow gets as <c>CONNECTION_SERVICE_URL</c>; null means nothing.</summary>
    public string? ConnectionServiceUrl { get; init; }

    /// <summary>How long the container may take to come up, image and input at hand. Default: 30 s.</summary>
    public TimeSpan LaunchTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long image and input may take to come to this node. Default: 10 min.</summary>
    public TimeSpan PrepareTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Whether the end of the daemon ends its containers; else they run on, and the next daemon takes them up. Default:
    /// no.
    /// </summary>
    public bool StopContainersOnExit { get; init; }

    /// <summary>
    /// How long a container of an earlier daemon runs before its instance is asked whether it is its own, and how
    /// often it is asked until it answers. Default: 60 s.
    /// </summary>
    public TimeSpan OrphanGrace { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// What a container gets between SIGTERM and SIGKILL when the daemon stops and stops it. Default: 5 s.
    /// </summary>
    public TimeSpan StopGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The most that is kept of a standard error, beginning and end, in bytes. Default: 10 MiB.</summary>
    public int StderrBytesMax { get; init; } = 10 * 1024 * 1024;

    /// <summary>The largest <c>output.json</c> that is read, in bytes. Default: 64 MiB.</summary>
    public int OutputBytesMax { get; init; } = 64 * 1024 * 1024;

    /// <summary>
    /// How long this node's copy of an image stays when no container runs from it; null: for ever. It is fetched again
    /// when it is needed. Default: 30 days.
    /// </summary>
    public TimeSpan? ImageKeepUnused { get; init; } = TimeSpan.FromDays(30);

    /// <summary>What the tar of an image may have, decompressed, in bytes. Default: 8 GiB.</summary>
    public long ImageUnpackedBytesMax { get; init; } = 8L << 30;

    /// <summary>Files, directories and links in the tar of an image. Default: 200,000.</summary>
    public int ImageEntriesMax { get; init; } = 200_000;

    /// <summary>
    /// The mode that <c>RUNTARA_NETWORK_MODE</c> names: <c>host</c>, <c>none</c> or <c>isolated</c>; anything else,
    /// null too, is pasta (environment protocol §6.6).
    /// </summary>
    public static NetworkMode ParseNetworkMode(string? name) => name?.ToLowerInvariant() switch
    {
        "host" => NetworkMode.Host,
        "none" or "isolated" => NetworkMode.None,
        _ => NetworkMode.Pasta,
    };
}
