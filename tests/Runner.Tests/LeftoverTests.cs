using System.Diagnostics;
using Akka.Actor;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Runner.Containers;
using Runtara.Runner.Files;

namespace Runtara.Runner.Tests;

public sealed class LeftoverTests : RunnerTest
{
    [Fact]
    public void What_a_killed_daemon_left_running_is_dead_before_anything_is_served()
    {
        var container = PathNames.OfContainer("one");
        var pid = StartDetached(container);

        var runner = StartRunner();
        runner.Tell(new RunnerCommand.Watch(new InstanceId("one"), new Attempt(1), Tenant), TestActor);
        ExpectMsg<InstanceCommand.AttemptVanished>(Patience);

        Assert.False(ProcessTable.Find(pid) is { IsDead: false });
        Assert.False(Directory.Exists(Path.Combine(Data, "crun", container)));
    }

    [Fact]
    public void A_launch_that_a_killed_daemon_left_half_way_is_dead_too()
    {
        var root = Path.Combine(Data, "crun");
        Directory.CreateDirectory(Path.Combine(root, "runtara-half"));
        using var launcher = Process.Start("sh", ["-c", "sleep 1000; :", "crun", "--root", root]);
        var child = 0;
        AwaitAssert(() => child = ProcessTable.Descendants(launcher.Id, ProcessTable.All()).Single().Id, Patience);

        Assert.Equal(0, Run("exit", ("CODE", "0")).ExitCode);

        Assert.True(launcher.WaitForExit(Patience));
        Assert.False(ProcessTable.Find(child) is { IsDead: false });
        Assert.Empty(Directory.GetDirectories(root));
    }

    // As a daemon would have started it, and with nobody who waits for it.
    private int StartDetached(string container)
    {
        var bundle = Directory.CreateDirectory(Path.Combine(Data, "left"));
        var root = Path.Combine(bundle.FullName, "rootfs");
        var run = Directory.CreateDirectory(Path.Combine(bundle.FullName, "data", "workspace")).Parent!.FullName;
        foreach (var name in new[] { "proc", "dev", "data", "tmp", "etc" })
            Directory.CreateDirectory(Path.Combine(root, name));
        File.WriteAllBytes(Path.Combine(root, "binary"), ProbeProgram.Bytes);
        File.SetUnixFileMode(Path.Combine(root, "binary"), Modes.Executable);
        var settings = new ContainerSettings(root, run, ["MODE=stubborn"], null);
        File.WriteAllBytes(Path.Combine(bundle.FullName, "config.json"), OciSpec.ToBytes(Options, settings));
        var pidFile = Path.Combine(Data, "pid");
        var crunRoot = Directory.CreateDirectory(Path.Combine(Data, "crun")).FullName;
        using var crun = Process.Start("crun",
        [
            "--root", crunRoot, "--cgroup-manager", "disabled", "run", "--detach", "--pid-file", pidFile, "--bundle",
            bundle.FullName, container,
        ]);
        crun.WaitForExit();
        Assert.Equal(0, crun.ExitCode);
        return int.Parse(File.ReadAllText(pidFile));
    }
}
