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

    private Cgroups Detect() => Cgroups.Detect(CgroupManager.Auto, NullLogger.Instance, _mount);
}
