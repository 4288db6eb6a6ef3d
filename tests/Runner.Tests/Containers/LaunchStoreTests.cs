using System.Text;
using Runtara.Actors.Instances;
using Runtara.Runner.Containers;
using Runtara.Runner.Native;

namespace Runtara.Runner.Tests.Containers;

public sealed class LaunchStoreTests : IDisposable
{
    private readonly string _data = Directory.CreateTempSubdirectory("runtara-launches-").FullName;
    private readonly LaunchStore _launches;

    public LaunchStoreTests()
    {
        _launches = new LaunchStore(_data);
        _launches.Prepare();
    }

    public void Dispose() => Directory.Delete(_data, recursive: true);

    private static LaunchNote NoteOf(string instance) =>
        new(new InstanceId(instance), new TenantId("acme"), new Attempt(1), null);

    // As a launch that ran to its end leaves it.
    private LaunchFiles Ended(string instance)
    {
        var files = _launches.Create(NoteOf(instance));
        File.WriteAllText(files.PidFile, "17");
        File.WriteAllText(files.Log, """{"level":"error","msg":"no such thing"}""" + "\n");
        File.WriteAllText(Path.Combine(files.Bundle, "supervisor"), "16");
        files.OpenLock().Dispose();
        File.WriteAllBytes(Path.Combine(files.Bundle, "exit"), Encoding.ASCII.GetBytes("1 3 0 0 10 20\nit broke"));
        Assert.Equal(3, files.ReadExit()!.ExitCode);
        return files;
    }

    [Fact]
    public void A_directory_used_again_shows_nothing_of_the_launch_before()
    {
        _launches.Discard(Ended("one"));
        Assert.Empty(_launches.All());

        var files = _launches.Create(NoteOf("two"));

        Assert.Equal("two", files.ReadNote()!.Instance.Value);
        Assert.Null(files.ReadExit());
        Assert.Null(files.SupervisorId());
        Assert.Null(files.Error());
        Assert.False(files.ContainerCameUp);
        Assert.Empty(Directory.GetDirectories(Path.Combine(_data, "launches", ".spare")));
        Assert.Equal(files.Bundle, Assert.Single(_launches.All()).Bundle);
    }

    [Fact]
    public void A_directory_with_more_in_it_than_a_launch_leaves_is_removed()
    {
        var files = Ended("one");
        File.WriteAllText(Path.Combine(files.Bundle, "stray"), "");
        _launches.Discard(files);
        Assert.Empty(_launches.All());
        Assert.Empty(Directory.GetDirectories(Path.Combine(_data, "launches", ".spare")));
    }

    [Fact]
    public void A_directory_that_bears_the_note_of_another_launch_has_none()
    {
        var files = Ended("one");
        Directory.Move(files.Bundle, _launches.Of(NoteOf("two").Container).Bundle);
        Assert.Null(_launches.Of(NoteOf("two").Container).ReadNote());
    }

    [Fact]
    public void Spares_of_an_earlier_daemon_are_gone_after_its_start()
    {
        _launches.Discard(Ended("one"));
        var next = new LaunchStore(_data);
        next.Prepare();
        Assert.Empty(Directory.GetDirectories(Path.Combine(_data, "launches", ".spare")));
        Assert.Equal("two", next.Create(NoteOf("two")).ReadNote()!.Instance.Value);
    }

    [Fact]
    public void A_directory_whose_lock_is_held_is_given_to_no_other_launch()
    {
        var files = Ended("one");
        using var supervisor = files.OpenLock();
        Assert.Equal(0, Libc.Lock(supervisor, Libc.LockExclusive | Libc.LockWithoutWaiting));

        _launches.Discard(files);

        Assert.Empty(_launches.All());
        using var next = _launches.Create(NoteOf("two")).OpenLock();
        Assert.Equal(0, Libc.Lock(next, Libc.LockExclusive | Libc.LockWithoutWaiting));
    }
}
