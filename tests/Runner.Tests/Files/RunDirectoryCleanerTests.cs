using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Runtara.Actors.Instances;
using Runtara.Runner.Files;
using Runtara.Runner.Native;

namespace Runtara.Runner.Tests.Files;

public sealed class RunDirectoryCleanerTests : IDisposable
{
    private readonly string _data = Directory.CreateTempSubdirectory("runtara-clean-").FullName;
    private readonly string _outside = Directory.CreateTempSubdirectory("runtara-outside-").FullName;
    private static readonly string[] Kept = ["daemon.lock"];
    private readonly RunDirectoryCleaner _cleaner;

    public RunDirectoryCleanerTests() => _cleaner = new RunDirectoryCleaner(_data, Kept);

    public void Dispose()
    {
        Directory.Delete(_data, recursive: true);
        Directory.Delete(_outside, recursive: true);
    }

    [Fact]
    public void Run_directories_are_found_with_the_ids_that_they_were_made_for()
    {
        var ids = (string[])["order-1", ".hidden", "a:b_c.d", "%41"];
        foreach (var id in ids)
            Make("acme", id);
        Make("images", "in-a-tenant-called-like-the-cache");
        Directory.CreateDirectory(Path.Combine(_data, "images", "sha256"));
        Directory.CreateDirectory(Path.Combine(_data, "acme", "runs", "%zz no name of ours"));
        File.WriteAllText(Path.Combine(_data, "acme", "runs", "file"), "");
        Directory.CreateSymbolicLink(Path.Combine(_data, "acme", "runs", "link"), _outside);
        var found = _cleaner.Find().ToList();
        Assert.Equal(
            [.. ids.Append("in-a-tenant-called-like-the-cache").Order(StringComparer.Ordinal)],
            found.Select(f => f.Instance.Value).Order(StringComparer.Ordinal));
        Assert.All(
            found, f => Assert.Equal(f.Instance.Value.StartsWith("in-", StringComparison.Ordinal), f.Tenant != "acme"));
        Assert.True(_cleaner.IsOf(found.Single(f => f.Tenant != "acme"), new TenantId("images")));
        Assert.False(_cleaner.IsOf(found.First(f => f.Tenant == "acme"), new TenantId("other")));
    }

    [Fact]
    public void The_directories_of_a_tenant_called_like_a_file_beside_them_are_its_own()
    {
        Make("daemon.lock", "order-1");
        var found = Assert.Single(_cleaner.Find());
        Assert.Equal("%64aemon.lock", found.Tenant);
        Assert.True(_cleaner.IsOf(found, new TenantId("daemon.lock")));
    }

    [Fact]
    public void A_name_that_was_shortened_is_not_found_and_stays()
    {
        var path = Make("acme", "." + new string('x', 254));
        Assert.Empty(_cleaner.Find());
        Assert.True(Directory.Exists(path));
    }

    [Fact]
    public void What_is_moved_aside_frees_its_name_at_once_and_goes_with_all_in_it()
    {
        var path = Make("acme", "done");
        File.WriteAllText(Path.Combine(_outside, "precious"), "kept");
        Directory.CreateSymbolicLink(Path.Combine(path, "workspace", "up"), _outside);
        File.CreateSymbolicLink(Path.Combine(path, "output.json"), Path.Combine(_outside, "precious"));
        var found = Assert.Single(_cleaner.Find());
        Assert.True(_cleaner.MoveAside(found));
        Assert.False(Directory.Exists(path));
        Assert.False(_cleaner.MoveAside(found));
        _cleaner.Empty(default);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_data, "acme", "removed")));
        Assert.Equal("kept", File.ReadAllText(Path.Combine(_outside, "precious")));
    }

    [Fact]
    public void Trees_of_any_depth_and_names_that_are_no_text_are_removed()
    {
        var path = Make("acme", "hostile");
        // Far beyond the longest path, and too deep for recursion with a descriptor for each.
        Nest(path, 4000);
        Shell(path, "printf x > \"$(printf 'bad\\377name')\"; mkdir -p \"$(printf 'dir\\376/sub\\375')\"");
        Shell(path, "mkfifo pipe; mkdir locked; touch locked/file; chmod 000 locked");
        Assert.True(_cleaner.MoveAside(Assert.Single(_cleaner.Find())));
        _cleaner.Empty(default);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_data, "acme", "removed")));
    }

    [Fact]
    public void A_link_in_the_place_of_our_own_directories_is_not_followed()
    {
        var path = Make("acme", "done");
        var found = Assert.Single(_cleaner.Find());
        var runs = Path.GetDirectoryName(path)!;
        Directory.Move(runs, Path.Combine(_outside, "runs"));
        Directory.CreateSymbolicLink(runs, Path.Combine(_outside, "runs"));
        Assert.Throws<IOException>(() => _cleaner.MoveAside(found));
        Assert.True(Directory.Exists(Path.Combine(_outside, "runs", "done", "workspace")));
    }

    [Fact]
    public void A_container_that_crun_knows_is_seen()
    {
        Make("acme", "busy");
        var found = Assert.Single(_cleaner.Find());
        Assert.False(_cleaner.HasContainer(found));
        Directory.CreateDirectory(Path.Combine(_data, "crun", PathNames.OfContainer("busy")));
        Assert.True(_cleaner.HasContainer(found));
    }

    private string Make(string tenant, string id)
    {
        var directory = new RunDirectory(_data, Kept, tenant, id);
        directory.Prepare([]).Dispose();
        return directory.Path;
    }

    private static void Nest(string path, int levels)
    {
        var flags = Libc.OpenReadOnly | Libc.OpenDirectory;
        var at = new SafeFileHandle(Libc.Open(path, flags, 0), ownsHandle: true);
        for (var level = 0; level < levels; level++)
        {
            using var parent = at;
            Assert.Equal(0, Libc.MakeDirectoryAt(parent, "d", 0x1ed));
            at = new SafeFileHandle(Libc.OpenAt(parent, "d", flags, 0), ownsHandle: true);
        }
        at.Dispose();
    }

    private static void Shell(string directory, string script)
    {
        using var shell = Process.Start(new ProcessStartInfo("sh")
        {
            WorkingDirectory = directory,
            ArgumentList = { "-c", script },
        })!;
        shell.WaitForExit();
        Assert.Equal(0, shell.ExitCode);
    }
}
