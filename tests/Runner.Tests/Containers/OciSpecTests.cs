using System.Text.Json;
using Runtara.Runner.Containers;

namespace Runtara.Runner.Tests.Containers;

/// <summary>The <c>config.json</c> of a container.</summary>
public sealed class OciSpecTests
{
    private readonly RunnerOptions _options = new() { DataDirectory = "/d" };

    private JsonElement Build(NetworkMode network = NetworkMode.Pasta, string? cgroup = "/runtara/box/run")
    {
        var settings = new ContainerSettings("/root", "/run-directory", ["A=b"], cgroup);
        var bytes = OciSpec.ToBytes(_options with { NetworkMode = network }, settings);
        return JsonDocument.Parse(bytes).RootElement;
    }

    private static string[] Texts(JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetString()!)];

    [Theory]
    [InlineData(NetworkMode.Pasta, "ipc mount pid uts")]
    [InlineData(NetworkMode.Host, "ipc mount pid user uts")]
    [InlineData(NetworkMode.None, "ipc mount network pid user uts")]
    public void A_network_mode_has_its_namespaces(NetworkMode network, string namespaces)
    {
        var linux = Build(network).GetProperty("linux");
        var types = linux.GetProperty("namespaces").EnumerateArray().Select(n => n.GetProperty("type").GetString());
        Assert.Equal(namespaces, string.Join(' ', types.Order(StringComparer.Ordinal)));
        Assert.Equal(network != NetworkMode.Pasta, linux.TryGetProperty("uidMappings", out _));
    }

    [Fact]
    public void A_program_is_bounded_in_memory_time_processes_and_files()
    {
        var spec = Build();
        var resources = spec.GetProperty("linux").GetProperty("resources");
        Assert.Equal(
            _options.MemoryLimitBytes, resources.GetProperty("memory").GetProperty("limit").GetInt64());
        Assert.Equal(100_000, resources.GetProperty("cpu").GetProperty("period").GetInt32());
        Assert.Equal(
            1000 * _options.CpuQuotaPercent, resources.GetProperty("cpu").GetProperty("quota").GetInt32());
        Assert.Equal(_options.PidsMax, resources.GetProperty("pids").GetProperty("limit").GetInt32());
        Assert.Equal(512L << 20, _options.MemoryLimitBytes);
        var limits = spec.GetProperty("process").GetProperty("rlimits").EnumerateArray()
            .ToDictionary(l => l.GetProperty("type").GetString()!, l => l.GetProperty("hard").GetUInt64());
        Assert.Equal(0ul, limits["RLIMIT_CORE"]);
        Assert.InRange(limits["RLIMIT_NOFILE"], 1ul, 65_536ul);
        Assert.False(Build(cgroup: null).GetProperty("linux").TryGetProperty("resources", out _));
    }

    [Fact]
    public void A_program_sees_what_it_needs_and_gains_nothing()
    {
        var spec = Build();
        var process = spec.GetProperty("process");
        Assert.True(process.GetProperty("noNewPrivileges").GetBoolean());
        Assert.All(
            process.GetProperty("capabilities").EnumerateObject(), set => Assert.Empty(Texts(set.Value)));
        Assert.Equal(["A=b"], Texts(process.GetProperty("env")));
        Assert.True(spec.GetProperty("root").GetProperty("readonly").GetBoolean());
        var linux = spec.GetProperty("linux");
        Assert.Contains("/proc/kcore", Texts(linux.GetProperty("maskedPaths")));
        Assert.Contains("/proc/sys", Texts(linux.GetProperty("readonlyPaths")));
        Assert.Equal("SCMP_ACT_ERRNO", linux.GetProperty("seccomp").GetProperty("defaultAction").GetString());
        var mounts = spec.GetProperty("mounts").EnumerateArray()
            .ToDictionary(m => m.GetProperty("destination").GetString()!);
        Assert.Equal("/run-directory", mounts["/data"].GetProperty("source").GetString());
        foreach (var destination in (string[])["/proc", "/dev", "/tmp", "/dev/null", "/dev/urandom"])
            Assert.Contains(destination, mounts.Keys);
    }
}
