using System.Diagnostics;
using Runtara.Runner.Files;

namespace Runtara.Runner.Tests.Files;

public sealed class SafeDirectoryTests : IDisposable
{
    private readonly string _path = Directory.CreateTempSubdirectory("runtara-safe-").FullName;

    public void Dispose() => Directory.Delete(_path, recursive: true);

    [Fact]
    public void A_missing_file_is_neither_content_nor_a_problem()
    {
        using var directory = SafeDirectory.Open(_path);

        Assert.Equal(new SafeRead(null, null), directory.Read("absent", 10));
    }

    [Fact]
    public void A_link_is_not_read_and_not_written_through()
    {
        var target = Path.Combine(_path, "target");
        File.WriteAllText(target, "secret");
        File.CreateSymbolicLink(Path.Combine(_path, "link"), target);
        using var directory = SafeDirectory.Open(_path);

        Assert.NotNull(directory.Read("link", 10).Problem);
        directory.Write("link", "new"u8);

        Assert.Equal("secret", File.ReadAllText(target));
        Assert.Equal("new"u8.ToArray(), directory.Read("link", 10).Bytes!.Value.ToArray());
    }

    [Fact]
    public void A_fifo_is_refused_without_waiting_for_its_writer()
    {
        using (var mkfifo = Process.Start("mkfifo", [Path.Combine(_path, "fifo")]))
            mkfifo.WaitForExit();
        using var directory = SafeDirectory.Open(_path);

        Assert.Equal("fifo is not a regular file", directory.Read("fifo", 10).Problem);
    }

    [Fact]
    public void A_file_beyond_the_limit_is_not_read()
    {
        File.WriteAllText(Path.Combine(_path, "big"), "12345678901");
        using var directory = SafeDirectory.Open(_path);

        Assert.Equal("big has 11 bytes, more than 10", directory.Read("big", 10).Problem);
    }

    [Fact]
    public void A_directory_is_removed_with_its_content_but_not_what_its_links_name()
    {
        var outside = Path.Combine(_path, "outside");
        Directory.CreateDirectory(Path.Combine(_path, "doomed", "deep"));
        Directory.CreateDirectory(outside);
        File.WriteAllText(Path.Combine(outside, "kept"), "");
        Directory.CreateSymbolicLink(Path.Combine(_path, "doomed", "deep", "link"), outside);
        using var directory = SafeDirectory.Open(_path);

        directory.Remove("doomed");

        Assert.False(Directory.Exists(Path.Combine(_path, "doomed")));
        Assert.True(File.Exists(Path.Combine(outside, "kept")));
    }
}
