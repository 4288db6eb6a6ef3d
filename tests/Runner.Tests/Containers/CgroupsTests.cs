using Microsoft.Extensions.Logging.Abstractions;
using Runtara.Runner.Containers;

namespace Runtara.Runner.Tests.Containers;

public sealed class CgroupsTests : IDisposable
{
    private readonly string _mount = Directory.CreateTempSubdirectory("runtara-cgroup-").FullName;

    public void Dispose() => Directory.Delete(_mount, recursive: true);

    [Fact]
    public void A_mount_that_is_not_version_2_disables_limits()
    {
        Assert.Equal(CgroupManager.Disabled, Detect().Manager);
    }

    [Fact]
    public void A_mount_without_a_needed_controller_disables_limits()
    {
        File.WriteAllText(Path.Combine(_mount, "cgroup.controllers"), "cpu io memory\n");

        var cgroups = Detect();

        Assert.Equal(CgroupManager.Disabled, cgroups.Manager);
        Assert.Null(cgroups.PathFor("c"));
    }

    [Fact]
    public void A_usable_mount_gives_every_container_a_group_in_ours()
    {
        File.WriteAllText(Path.Combine(_mount, "cgroup.controllers"), "cpu io memory pids\n");

        var cgroups = Detect();

        Assert.Equal(CgroupManager.Cgroupfs, cgroups.Manager);
        Assert.Equal("/runtara/c/run", cgroups.PathFor("c"));
        Assert.Equal("+memory +cpu +pids", File.ReadAllText(Path.Combine(_mount, "runtara", "cgroup.subtree_control")));
    }

    [Fact]
    public void What_a_container_used_is_read_from_its_group_and_a_kill_for_memory_too()
    {
        Write("c", "memory.events", "low 0\nhigh 0\nmax 31\noom 2\noom_kill 1\noom_group_kill 0\n");
        Write("c", "memory.peak", "536870912\n");
        Write("c", "cpu.stat", "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\n");

        // The group has files here, so it cannot be removed as a real one can: what was read counts all the same.
        Assert.Equal(new CgroupUsage(true, 536_870_912, 1_234_567), Cgroupfs().Collect("c"));
    }

    [Theory]
    [InlineData("low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\n")]
    [InlineData("")]
    public void A_container_that_only_met_its_memory_limit_was_not_killed_for_it(string events)
    {
        Write("c", "memory.events", events);

        Assert.Equal(new CgroupUsage(false, null, null), Cgroupfs().Collect("c"));
    }

    [Fact]
    public void A_container_without_a_group_has_used_nothing_that_is_known()
    {
        Assert.Null(Cgroupfs().Collect("c"));
    }

    private Cgroups Cgroupfs() => new(CgroupManager.Cgroupfs, _mount);

    private void Write(string container, string name, string text)
    {
        var group = Directory.CreateDirectory(Path.Combine(_mount, "runtara", container));
        File.WriteAllText(Path.Combine(group.FullName, name), text);
    }

    private Cgroups Detect() => Cgroups.Detect(CgroupManager.Auto, NullLogger.Instance, _mount);
}
