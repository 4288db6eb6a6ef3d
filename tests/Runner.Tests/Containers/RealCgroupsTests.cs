using Runtara.Runner.Containers;

namespace Runtara.Runner.Tests.Containers;

/// <summary>
/// Groups of the kernel's: they have files that nobody can remove, and go only when nothing is below them. They need a
/// cgroup2 mount that may be written in, as <c>scripts/with-cgroup2</c> gives one.
/// </summary>
public sealed class RealCgroupsTests : IDisposable
{
    private readonly string _mount = Directory.CreateDirectory(
        Path.Combine(Cgroups.DefaultMount, $"runtara-tests-{Environment.ProcessId}-{Guid.NewGuid():N}")).FullName;

    private readonly Cgroups _cgroups;

    public RealCgroupsTests() => _cgroups = new Cgroups(CgroupManager.Cgroupfs, _mount);

    public void Dispose()
    {
        foreach (var group in Directory.GetDirectories(_mount, "*", SearchOption.AllDirectories).Reverse())
            Directory.Delete(group);
        Directory.Delete(_mount);
    }

    [Fact]
    public void A_group_that_a_killed_crun_left_is_made_anew_at_the_next_launch()
    {
        Leave("c");

        _cgroups.Create("c");

        Assert.Empty(Directory.GetDirectories(GroupOf("c")));
    }

    [Fact]
    public void What_was_used_is_told_and_the_group_removed_although_crun_left_its_own_below_it()
    {
        Leave("c");

        Assert.Equal(0, _cgroups.Collect("c")?.CpuMicroseconds);
        Assert.False(Directory.Exists(GroupOf("c")));
    }

    [Fact]
    public void Groups_that_no_launch_has_are_removed_at_the_start()
    {
        Leave("left");
        Leave("kept");

        _cgroups.Sweep(new HashSet<string> { "kept" });

        Assert.False(Directory.Exists(GroupOf("left")));
        Assert.True(Directory.Exists(Path.Combine(GroupOf("kept"), "run", "inner")));
    }

    private string GroupOf(string container) => Path.Combine(_mount, "runtara", container);

    private void Leave(string container) => Directory.CreateDirectory(Path.Combine(GroupOf(container), "run", "inner"));
}
