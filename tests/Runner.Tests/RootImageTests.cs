using Akka.Actor;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Tests;

/// <summary>Images that are root file systems, run by crun.</summary>
public sealed class RootImageTests : RunnerTest
{
    public enum Compression
    {
        None,
        Gzip,
        Zstd,
    }

    [Theory]
    [InlineData(Compression.None)]
    [InlineData(Compression.Gzip)]
    [InlineData(Compression.Zstd)]
    public void A_program_runs_in_its_root_with_entry_point_arguments_directory_and_environment(Compression compression)
    {
        var launch = LaunchOfRoot(
            "one", compression,
            """
            {"entrypoint":["/app/run","first"],"args":["second"],"cwd":"/app",
             "env":{"FILE":"note","MODE":"lost","EXTRA":"of the image"}}
            """,
            Tars.File("./app/run", ProbeProgram.Bytes), Tars.File("app/note", "read from its working directory"));
        var runner = StartRunner();

        Assert.Equal("read from its working directory", Run(runner, WithMode(launch, "show", 1)).StderrTail);

        var lines = Run(runner, WithMode(launch, "env", 2)).StderrTail.Split('\n');
        Assert.Contains("EXTRA=of the image", lines);
        Assert.Contains("MODE=env", lines);

        var arguments = WithMode(launch, "show", 3, ("FILE", "/proc/self/cmdline"));
        Assert.Equal("/app/run\0first\0second\0", Run(runner, arguments).StderrTail);
        Assert.Equal(1, Images.Opened);
    }

    [Fact]
    public void Without_an_entry_point_the_program_is_binary_and_a_linked_directory_is_resolved_within_the_root()
    {
        var launch = LaunchOfRoot(
            "one", Compression.Gzip, null,
            Tars.File("binary", ProbeProgram.Bytes), Tars.Link("outside", "/etc"), Tars.File("etc/mine", "inside"));

        Assert.Equal(
            "inside", Run(StartRunner(), WithMode(launch, "show", 1, ("FILE", "/outside/mine"))).StderrTail);
    }

    [Fact]
    public void Instances_share_a_root_that_none_can_write()
    {
        var launch = LaunchOfRoot(
            "one", Compression.None, null,
            Tars.File("binary", ProbeProgram.Bytes), Tars.Directory("var", (UnixFileMode)0x1ff));
        var runner = StartRunner();

        foreach (var (file, attempt) in (ReadOnlySpan<(string, int)>)[("/var/x", 1), ("/x", 2)])
        {
            var touched = Run(runner, WithMode(launch, "touch", attempt, ("FILE", file)));
            Assert.Contains("Read-only file system", touched.StderrTail);
        }
        var second = WithMode(launch, "exit", 1, ("CODE", "7")) with { Instance = new InstanceId("two") };
        Assert.Equal(7, Run(runner, second).ExitCode);
        Assert.Equal(1, Images.Opened);
    }

    [Fact]
    public void Concurrent_launches_wait_for_one_unpacking()
    {
        var launch = LaunchOfRoot("one", Compression.Gzip, null, Tars.File("binary", ProbeProgram.Bytes));
        Images.Gate = new TaskCompletionSource();
        var runner = StartRunner();
        for (var i = 0; i < 5; i++)
            Launch(runner, WithMode(launch, "exit", 1, ("CODE", "3")) with { Instance = new InstanceId($"i{i}") });
        Images.Gate.SetResult();

        for (var i = 0; i < 5; i++)
            Assert.Equal(3, ExpectExit().ExitCode);
        Assert.Equal(1, Images.Opened);
        Assert.Equal([launch.ImageSha256], Directory.GetFileSystemEntries(Path.Combine(Data, "images"))
            .Select(p => Path.GetFileName(p)!));
    }

    [Fact]
    public void A_root_that_was_changed_on_the_disk_is_fetched_again()
    {
        var launch = LaunchOfRoot(
            "one", Compression.Zstd, null, Tars.File("binary", ProbeProgram.Bytes), Tars.File("lib/data", "right"));
        var show = WithMode(launch, "show", 1, ("FILE", "/lib/data"));
        var runner = StartRunner();
        Assert.Equal("right", Run(runner, show).StderrTail);
        var file = Path.Combine(Data, "images", launch.ImageSha256, "rootfs", "lib", "data");
        var written = File.GetLastWriteTimeUtc(file);
        File.WriteAllText(file, "wrong");
        File.SetLastWriteTimeUtc(file, written);

        Assert.Equal("right", Run(runner, show with { Attempt = new Attempt(2) }).StderrTail);
        Assert.Equal(2, Images.Opened);
    }

    [Fact]
    public void A_root_that_was_changed_while_no_daemon_ran_is_fetched_again()
    {
        var launch = LaunchOfRoot(
            "one", Compression.None, null, Tars.File("binary", ProbeProgram.Bytes), Tars.File("lib/data", "right"));
        var first = StartRunner();
        Run(first, WithMode(launch, "exit", 1, ("CODE", "0")));
        first.Tell(new RunnerCommand.Forget(launch.Instance, launch.Attempt));
        StatusOf(first);
        Watch(first);
        Sys.Stop(first);
        ExpectTerminated(first, Patience);
        File.WriteAllText(Path.Combine(Data, "images", launch.ImageSha256, "rootfs", "lib", "data"), "wrong");

        var show = WithMode(launch, "show", 2, ("FILE", "/lib/data"));
        Assert.Equal("right", Run(StartRunner(), show).StderrTail);
        Assert.Equal(2, Images.Opened);
    }

    [Fact]
    public void A_root_that_escapes_is_a_launch_failure_that_leaves_nothing()
    {
        var launch = LaunchOfRoot("one", Compression.Gzip, null, Tars.File("../../escaped"));

        Assert.Equal(
            "the root file system of the image cannot be used: '../../escaped' has the path '../../escaped', which "
            + "leads out of the root", LaunchError(launch));
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(Data, "images")));
        Assert.False(File.Exists(Path.Combine(Data, "escaped")));
    }

    [Fact]
    public void A_compressed_root_that_is_damaged_is_a_launch_failure()
    {
        foreach (var pack in (Func<byte[], byte[]>[])[Tars.Gzip, Tars.Zstd])
        {
            var image = pack(Tars.Of(Tars.File("binary", ProbeProgram.Bytes)));
            image.AsSpan(image.Length / 2, 100).Fill(0xa5);
            var error = LaunchError(LaunchOf("one", 1, "exit") with { ImageSha256 = Store(image) });
            Assert.StartsWith("the root file system of the image ", error);
        }
    }

    [Fact]
    public void An_entry_point_that_is_not_in_the_root_is_named()
    {
        var launch = LaunchOfRoot("one", Compression.None, """{"entrypoint":"/app/absent"}""", Tars.File("binary", []));

        Assert.Contains("/app/absent", LaunchError(launch));
    }

    [Fact]
    public void An_image_that_was_deleted_is_a_launch_failure() => Assert.StartsWith(
        "Image 'deleted' not found", LaunchError(LaunchOf("one", 1, "exit") with { Image = new ImageId("deleted") }));

    private string LaunchError(RunnerCommand.Launch launch)
    {
        Launch(StartRunner(), launch);
        return ExpectMsg<InstanceCommand.LaunchFailed>(Patience).Error;
    }

    private RunnerCommand.Launch LaunchOfRoot(
        string instance, Compression compression, string? metadata, params System.Formats.Tar.TarEntry[] entries)
    {
        var tar = Tars.Of(entries);
        var id = new ImageId($"image-of-{instance}");
        if (metadata is not null)
            Images.Metadata[id] = metadata;
        return LaunchOf(instance, 1, "exit") with
        {
            Image = id,
            ImageSha256 = Store(compression switch
            {
                Compression.Gzip => Tars.Gzip(tar),
                Compression.Zstd => Tars.Zstd(tar),
                _ => tar,
            }),
        };
    }

    private string Store(byte[] image)
    {
        Images.Blobs[ProbeProgram.Hash(image)] = image;
        return ProbeProgram.Hash(image);
    }

    private static RunnerCommand.Launch WithMode(
        RunnerCommand.Launch launch, string mode, int attempt, params (string Name, string Value)[] variables) =>
        LaunchOf(launch.Instance.Value, attempt, mode, variables) with
        {
            Image = launch.Image, ImageSha256 = launch.ImageSha256,
        };
}
