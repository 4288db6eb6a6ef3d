using Microsoft.Extensions.Logging.Abstractions;
using Runtara.Runner.Containers;

namespace Runtara.Runner.Tests.Containers;

public sealed class CrunTests
{
    /// <summary>crun takes its global options before the word <c>run</c> only.</summary>
    [Theory]
    [InlineData(CgroupManager.Systemd, "systemd", NetworkMode.None)]
    [InlineData(CgroupManager.Systemd, "systemd", NetworkMode.Pasta)]
    [InlineData(CgroupManager.Cgroupfs, "cgroupfs", NetworkMode.Host)]
    [InlineData(CgroupManager.Disabled, "disabled", NetworkMode.None)]
    public void The_manager_of_control_groups_is_named_before_the_command(
        CgroupManager manager, string name, NetworkMode network)
    {
        var options = new RunnerOptions { DataDirectory = "/d", NetworkMode = network };
        var crun = new Crun(options, "/d/crun", manager, TimeProvider.System, NullLogger.Instance);

        var command = crun.RunCommand("box", "/b", "/c.json", "/log", "/pid").ToList();

        var begin = command.IndexOf(options.CrunPath);
        Assert.Equal(
            [options.CrunPath, "--root", "/d/crun", "--cgroup-manager", name], command.GetRange(begin, 5));
        Assert.InRange(command.IndexOf("run"), begin + 5, command.Count - 1);
        Assert.Equal("box", command[^1]);
        Assert.Equal(network == NetworkMode.Pasta, begin > 0);
    }

    [Fact]
    public void A_scope_of_systemd_is_named_as_crun_wants_it() => Assert.Equal(
        ":runtara:box", Cgroups.Detect(CgroupManager.Systemd, NullLogger.Instance).PathFor("box"));
}
