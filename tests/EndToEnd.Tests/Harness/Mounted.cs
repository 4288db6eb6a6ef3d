using System.Diagnostics;

namespace Runtara.EndToEnd.Tests.Harness;

/// <summary>A directory with something mounted on it, for as long as a test needs it. Needs root.</summary>
public sealed class Mounted : IDisposable
{
    private Mounted(string path) => Path = path;

    /// <summary>Where it is mounted.</summary>
    public string Path { get; }

    private string Fillers => System.IO.Path.Combine(Path, "fillers");

    /// <summary>An empty disk of so many bytes, for so many files; 0: any number.</summary>
    public static Mounted SmallDisk(long bytes, int inodes = 0)
    {
        var disk = new Mounted(Directory.CreateTempSubdirectory("runtara-disk-").FullName);
        Run("mount", "-t", "tmpfs", "-o", $"size={bytes},nr_inodes={inodes}", "tmpfs", disk.Path);
        return disk;
    }

    /// <summary>
    /// An empty directory with a quota of so many bytes on a disk that has more: btrfs, whose quotas every kernel of
    /// Debian has. The quota counts for root too.
    /// </summary>
    public static Mounted Quota(long bytes)
    {
        var directory = Directory.CreateTempSubdirectory("runtara-quota-").FullName;
        var image = directory + ".img";
        using (var file = File.Create(image))
            file.SetLength(Math.Max(4 * bytes, 128 << 20));
        try
        {
            Run("mkfs.btrfs", "-q", "--mixed", image);
            Run("mount", "-o", "loop", image, directory);
        }
        finally
        {
            // It is there until it is unmounted.
            File.Delete(image);
        }
        var disk = new Mounted(directory);
        Run("btrfs", "quota", "enable", directory);
        Run("btrfs", "qgroup", "limit", $"{bytes}", directory);
        return disk;
    }

    /// <summary>Another view of a directory, in which nothing can be written.</summary>
    public static Mounted ReadOnly(string directory)
    {
        var view = new Mounted(Directory.CreateTempSubdirectory("runtara-view-").FullName);
        Run("mount", "--bind", directory, view.Path);
        Run("mount", "-o", "remount,bind,ro", view.Path);
        return view;
    }

    /// <summary>A file that takes all the room there is; what it takes when something else was removed too.</summary>
    public void Fill()
    {
        using var file = new FileStream(
            System.IO.Path.Combine(Path, "filler"), FileMode.Append, FileAccess.Write, FileShare.None, 0);
        // By pages at the end, so that nothing is left over.
        foreach (var size in (int[])[1 << 20, 1 << 12])
        {
            var block = new byte[size];
            try
            {
                while (true)
                    file.Write(block);
            }
            catch (IOException)
            {
                // Full.
            }
        }
    }

    /// <summary>As many empty files as there can be; what is left of the bytes stays.</summary>
    public void FillInodes()
    {
        Directory.CreateDirectory(Fillers);
        try
        {
            for (var i = 0; ; i++)
                File.Create(System.IO.Path.Combine(Fillers, $"{i}")).Dispose();
        }
        catch (IOException)
        {
            // Full.
        }
    }

    /// <summary>The opposite of <see cref="Fill"/> and of <see cref="FillInodes"/>.</summary>
    public void Free()
    {
        File.Delete(System.IO.Path.Combine(Path, "filler"));
        if (Directory.Exists(Fillers))
            Directory.Delete(Fillers, recursive: true);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        Run("umount", "--lazy", Path);
        Directory.Delete(Path);
    }

    private static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {process.ExitCode}");
    }
}
