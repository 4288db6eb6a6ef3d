using Akka.Actor;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Runner.Containers;
using Runtara.Runner.Files;

namespace Runtara.Runner.Tests;

public sealed class LaunchFailureTests : RunnerTest
{
    [Fact]
    public void A_missing_crun_is_named_with_its_package()
    {
        Options = Options with { CrunPath = "no-such-crun" };

        Assert.Equal("'no-such-crun' is not installed or not in PATH (Debian package: crun)", LaunchError());
    }

    private static string Hint => Environment.IsPrivilegedProcess
        ? "; network mode pasta, the default, starts no container for root, because pasta gives up root's rights: run "
            + "the daemon as another user, or set runner.network-mode to none (no network; the C# SDK needs none) or "
            + "host (the machine's network)"
        : "";

    [Fact]
    public void A_missing_pasta_is_named_with_its_package_and_nothing_runs_without()
    {
        Options = Options with { NetworkMode = NetworkMode.Pasta, PastaPath = "/nowhere/pasta" };

        Assert.Equal("'/nowhere/pasta' is not installed or not in PATH (Debian package: passt)", LaunchError());
    }

    [Fact]
    public void A_pasta_that_never_gets_to_the_container_meets_its_deadline()
    {
        var pasta = Script("pasta", "while :; do sleep 1; done");
        Options = Options with
        {
            NetworkMode = NetworkMode.Pasta, PastaPath = pasta, LaunchTimeout = TimeSpan.FromMilliseconds(300),
        };

        Assert.Equal($"{pasta} did not start the container within 0.3 s{Hint}", LaunchError());
    }

    [Fact]
    public void A_pasta_that_fails_is_quoted()
    {
        var pasta = Script("pasta", "echo no tap device >&2; exit 3");
        Options = Options with { NetworkMode = NetworkMode.Pasta, PastaPath = pasta };

        Assert.Equal($"{pasta} did not start the container (exit code 3): no tap device{Hint}", LaunchError());
    }

    [Fact]
    public void A_file_that_is_no_program_is_a_launch_failure_with_the_message_of_crun()
    {
        var bytes = "not a program"u8.ToArray();
        Images.Blobs[ProbeProgram.Hash(bytes)] = bytes;

        var error = LaunchError(LaunchOf("one", 1, "exit") with { ImageSha256 = ProbeProgram.Hash(bytes) });

        Assert.Contains("Exec format error", error);
    }

    [Fact]
    public void An_image_that_is_not_in_the_store_is_a_launch_failure()
    {
        var absent = new string('a', 64);

        var error = LaunchError(LaunchOf("one", 1, "exit") with { ImageSha256 = absent });

        Assert.Equal($"the bytes of image {absent} are not in the store", error);
    }

    [Fact]
    public void An_image_that_is_damaged_in_the_store_is_never_run()
    {
        Images.Blobs[ProbeProgram.Sha256] = [.. ProbeProgram.Bytes, 0];

        Assert.StartsWith($"image {ProbeProgram.Sha256} is damaged in the store", LaunchError());
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(Data, "images")));
    }

    [Fact]
    public void An_image_that_is_damaged_in_the_cache_is_fetched_again()
    {
        var runner = StartRunner();
        Run(runner, LaunchOf("one", 1, "exit", ("CODE", "1")));
        Run(runner, LaunchOf("two", 1, "exit", ("CODE", "1")));
        Assert.Equal(1, Images.Opened);
        var binary = Path.Combine(Data, "images", ProbeProgram.Sha256, "rootfs", "binary");
        var written = File.GetLastWriteTimeUtc(binary);
        using (var file = File.OpenWrite(binary))
            file.Write(new byte[64]);
        File.SetLastWriteTimeUtc(binary, written);

        Assert.Equal(5, Run(runner, LaunchOf("one", 2, "exit", ("CODE", "5"))).ExitCode);
        Assert.Equal(2, Images.Opened);
    }

    [Fact]
    public void A_launch_that_has_no_place_any_more_has_vanished_and_is_no_failure()
    {
        var launch = LaunchOf("one", 1, "exit", ("CODE", "0"));

        StartRunner().Tell(launch, TestActor);

        var vanished = ExpectMsg<InstanceCommand.AttemptVanished>(Patience);
        Assert.Equal((launch.Instance, launch.Attempt), (vanished.Instance, vanished.Attempt));
        Assert.StartsWith("the attempt has no slot on this node, or had one for too long", vanished.Reason);
    }

    [Fact]
    public void A_failure_to_stop_a_container_is_told_when_nothing_of_it_runs_any_more()
    {
        var crun = Script("crun.sh", "exec crun \"$@\"");
        Options = Options with { CrunPath = crun };
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "stubborn"));
        AwaitUp("one");
        var launch = new LaunchStore(Data).Of(PathNames.OfContainer("one"));
        AwaitAssert(() => Assert.True(launch.ContainerCameUp), Patience);
        var program = ProcessTable.Find(int.Parse(File.ReadAllText(launch.PidFile)))!.Value;

        File.Delete(crun);
        runner.Tell(new RunnerCommand.Stop(new InstanceId("one"), new Attempt(1), TimeSpan.Zero), TestActor);
        AwaitAssert(() => Assert.Empty(Door.Open), Patience);

        Assert.Equal(1, StatusOf(runner).Containers);
        Assert.True(ProcessTable.IsAlive(program));
        Assert.False(HasMessages);
        Script("crun.sh", "exec crun \"$@\"");
        Assert.Contains("is not installed", ExpectMsg<InstanceCommand.LaunchFailed>(Patience).Error);
        Assert.False(ProcessTable.IsAlive(program));
    }

    private string LaunchError() => LaunchError(LaunchOf("one", 1, "exit", ("CODE", "0")));

    private string LaunchError(RunnerCommand.Launch launch)
    {
        Launch(StartRunner(), launch);
        return ExpectMsg<InstanceCommand.LaunchFailed>(Patience).Error;
    }

    private string Script(string name, string body)
    {
        var path = Path.Combine(Data, name);
        File.WriteAllText(path, $"#!/bin/sh\n{body}\n");
        File.SetUnixFileMode(path, Modes.Executable);
        return path;
    }
}
