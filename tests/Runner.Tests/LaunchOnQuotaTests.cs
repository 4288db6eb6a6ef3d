using Akka.Actor;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Runner.Files;

namespace Runtara.Runner.Tests;

/// <summary>
/// The quota of the data directory is used up while its disk has room, which only a launch can find out. Such an
/// attempt has vanished and not failed, and nothing is granted until there is room.
/// </summary>
public sealed class LaunchOnQuotaTests : RunnerTest
{
    private readonly Mounted _disk = Mounted.Quota(48 << 20);

    public LaunchOnQuotaTests() => Options = Options with
    {
        DataDirectory = Path.Combine(_disk.Path, "data"),
        DiskFreeBytesMin = 1 << 20,
    };

    [Fact]
    public void An_attempt_that_meets_the_quota_vanishes_and_is_granted_again_when_there_is_room()
    {
        var runner = StartRunner();
        var launch = LaunchOf("one", 1, "exit", ("CODE", "0"));
        Request(runner, launch);
        ExpectMsg<InstanceCommand.SlotGranted>(Patience);
        _disk.Fill();
        Assert.Null(DiskRoom.Problem(Options.DataDirectory, Options.DiskFreeBytesMin, Options.DiskInodesMin));
        runner.Tell(launch);

        var vanished = ExpectMsg<InstanceCommand.AttemptVanished>(Patience);
        Assert.Equal((launch.Instance, launch.Attempt), (vanished.Instance, vanished.Attempt));
        var problem = $"the disk quota is used up; raise it, or remove something below '{Options.DataDirectory}'";
        Assert.StartsWith(problem, vanished.Reason, StringComparison.Ordinal);
        Assert.Contains("quota exceeded", vanished.Reason[problem.Length..], StringComparison.OrdinalIgnoreCase);
        var again = LaunchOf("one", 2, "exit", ("CODE", "7"));
        Request(runner, again);
        var status = StatusOf(runner);
        Assert.Equal((problem, 0, 1), (status.Problem, status.Containers, status.Waiting));
        Assert.False(HasMessages);

        _disk.Free();
        ExpectMsg<InstanceCommand.SlotGranted>(m => Assert.Equal(again.Attempt, m.Attempt), Patience);
        runner.Tell(again);
        Assert.Equal(7, ExpectExit().ExitCode);
        Assert.Null(StatusOf(runner).Problem);
    }

    [Fact]
    public void Room_within_a_quota_is_found_by_taking_it()
    {
        Assert.Null(DiskRoom.Try(_disk.Path, 40 << 20));
        Assert.Equal(DiskRoom.Shortage(122, _disk.Path), DiskRoom.Try(_disk.Path, 60 << 20));
        Assert.Empty(Directory.GetFileSystemEntries(_disk.Path));
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        _disk.Dispose();
    }

    private void Request(IActorRef runner, RunnerCommand.Launch launch) => runner.Tell(
        new RunnerCommand.RequestSlot(launch.Instance, launch.Attempt, launch.Tenant), TestActor);
}
