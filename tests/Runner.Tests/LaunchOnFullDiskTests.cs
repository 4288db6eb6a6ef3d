using Akka.Actor;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Runner.Files;

namespace Runtara.Runner.Tests;

/// <summary>
/// The disk of the data directory fills between the grant of a place and the end of its launch. Such an attempt has
/// vanished and not failed, and nothing is granted until there is room.
/// </summary>
public sealed class LaunchOnFullDiskTests : RunnerTest
{
    private readonly Mounted _disk = Mounted.SmallDisk(48 << 20, inodes: 2000);

    public LaunchOnFullDiskTests() => Options = Options with
    {
        DataDirectory = Path.Combine(_disk.Path, "data"),
        DiskFreeBytesMin = 1 << 20,
        DiskInodesMin = 50,
    };

    [Theory]
    [InlineData("bytes", "is full")]
    [InlineData("inodes", "no inodes are free on the disk of ")]
    public void An_attempt_whose_disk_fills_after_the_grant_vanishes_and_is_granted_again_when_there_is_room(
        string what, string reason)
    {
        var runner = StartRunner();
        var launch = Granted(runner, "one", 1);
        Fill(what);
        runner.Tell(launch);

        var vanished = ExpectMsg<InstanceCommand.AttemptVanished>(Patience);
        Assert.Equal((launch.Instance, launch.Attempt), (vanished.Instance, vanished.Attempt));
        Assert.Contains(reason, vanished.Reason);
        Assert.Contains($"'{Options.DataDirectory}'", vanished.Reason);
        Assert.Equal(vanished.Reason, StatusOf(runner).Problem);
        Assert.False(Directory.Exists(RunDirectoryOf("one")));
        RunsWhenThereIsRoom(runner, LaunchOf("one", 2, "exit", ("CODE", "7")));
    }

    [Theory]
    [InlineData("bytes")]
    [InlineData("inodes")]
    public void A_launch_that_the_full_disk_cuts_off_vanishes_and_is_granted_again_when_there_is_room(string what)
    {
        Images.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var runner = StartRunner();
        runner.Tell(Granted(runner, "one", 1));
        AwaitAssert(() => Assert.Equal(1, Images.Opened), Patience);
        Fill(what);
        Images.Gate.SetResult();

        var vanished = ExpectMsg<InstanceCommand.AttemptVanished>(Patience);
        Assert.Contains($"'{Options.DataDirectory}'", vanished.Reason);
        Assert.Contains("No space left on device", vanished.Reason);
        RunsWhenThereIsRoom(runner, LaunchOf("one", 2, "exit", ("CODE", "7")));
    }

    [Fact]
    public void A_launch_that_wants_more_room_than_there_ever_was_fails()
    {
        var bytes = new byte[49 << 20];
        Images.Blobs[ProbeProgram.Hash(bytes)] = bytes;
        var runner = StartRunner();
        runner.Tell(Granted(runner, "one", 1) with { ImageSha256 = ProbeProgram.Hash(bytes) });

        Assert.Contains("No space left on device", ExpectMsg<InstanceCommand.LaunchFailed>(Patience).Error);
        Assert.Null(StatusOf(runner).Problem);
        Assert.Equal(0, Run(runner, LaunchOf("two", 1, "exit", ("CODE", "0"))).ExitCode);
    }

    [Theory]
    [InlineData(28, "the disk is full; make room on the disk of '{0}'")]
    [InlineData(122, "the disk quota is used up; raise it, or remove something below '{0}'")]
    [InlineData(5, null)]
    public void A_shortage_says_what_is_used_up_and_what_to_do(int error, string? expected)
    {
        Assert.Equal(expected is null ? null : string.Format(null, expected, _disk.Path), Shortage(error));
        Assert.Equal(expected is not null, DiskRoom.IsShortage($"cannot open '/x': {Native.Libc.Describe(error)}"));
    }

    [Fact]
    public void A_disk_without_inodes_is_told_from_one_without_bytes()
    {
        _disk.FillInodes();

        Assert.Equal($"no inodes are free; remove files from the disk of '{_disk.Path}'", Shortage(28));
    }

    [Fact]
    public void Room_that_is_tried_is_given_back()
    {
        Assert.Null(DiskRoom.Try(_disk.Path, 40 << 20));
        Assert.Null(DiskRoom.Try(_disk.Path, 40 << 20));
        Assert.Equal(Shortage(28), DiskRoom.Try(_disk.Path, 60 << 20));
        Assert.Empty(Directory.GetFileSystemEntries(_disk.Path));
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        _disk.Dispose();
    }

    private string? Shortage(int error) => DiskRoom.Shortage(error, _disk.Path);

    private RunnerCommand.Launch Granted(IActorRef runner, string instance, int attempt)
    {
        var launch = LaunchOf(instance, attempt, "exit", ("CODE", "0"));
        runner.Tell(new RunnerCommand.RequestSlot(launch.Instance, launch.Attempt, launch.Tenant), TestActor);
        ExpectMsg<InstanceCommand.SlotGranted>(Patience);
        return launch;
    }

    private void Fill(string what)
    {
        if (what == "inodes")
            _disk.FillInodes();
        else
            _disk.Fill();
    }

    private void RunsWhenThereIsRoom(IActorRef runner, RunnerCommand.Launch launch)
    {
        runner.Tell(new RunnerCommand.RequestSlot(launch.Instance, launch.Attempt, launch.Tenant), TestActor);
        // Answered after the request: what was granted for it would have come before.
        Assert.Equal((0, 1), (StatusOf(runner).Containers, StatusOf(runner).Waiting));
        Assert.False(HasMessages);
        _disk.Free();
        ExpectMsg<InstanceCommand.SlotGranted>(m => Assert.Equal(launch.Attempt, m.Attempt), Patience);
        runner.Tell(launch);
        Assert.Equal(7, ExpectExit().ExitCode);
    }
}
