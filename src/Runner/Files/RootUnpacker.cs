using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Runtara.Runner.Native;

namespace Runtara.Runner.Files;

/// <summary>
/// Makes a root file system of a stranger's tar in a directory of ours. Every name is resolved from the root, one open
/// directory at a time, and through no link; files are ours, without set-id bits, capabilities or other attributes,
/// and nobody else may write them. What cannot be unpacked so is refused with the entry's name.
/// </summary>
internal sealed class RootUnpacker : IDisposable
{
    private const int PathBytesMax = 2048;
    private const uint DirectoryMode = 0x1ed;
    private const uint PermissionBits = 0x1ed;
    private readonly SafeFileHandle _root;
    private readonly int _entriesMax;
    private int _entries;
    private readonly byte[] _buffer = new byte[128 * 1024];

    internal RootUnpacker(string root, int entriesMax)
    {
        Directory.CreateDirectory(root);
        _entriesMax = entriesMax;
        _root = DirectoryCalls.Open(root);
        Libc.ChangeMode(_root, DirectoryMode);
    }

    internal void Unpack(TarReader tar, CancellationToken cancellation)
    {
        while (tar.Next() is { } entry)
        {
            cancellation.ThrowIfCancellationRequested();
            Count();
            var path = Parts(entry.Name, entry.Name);
            if (path.Length > 0)
                Unpack(tar, entry, path, cancellation);
        }
    }

    /// <summary>
    /// Adds what crun mounts upon: the root is mounted read-only, so it must be there before.
    /// </summary>
    internal void MakeMountPoints()
    {
        foreach (var name in new[] { "proc", "dev", "data", "tmp", "etc" })
            MakeDirectory([name], DirectoryMode, $"/{name}", keepMode: true);
        using var etc = OpenDirectory(["etc"], "/etc");
        foreach (var name in new[] { "hosts", "resolv.conf" })
        {
            if (Libc.Stat(etc, name, Libc.StatNoFollow, Libc.StatBasic, out var s) == 0 && s.IsRegularFile)
                continue;
            using var file = CreateFile(etc, name, $"/etc/{name}");
            Libc.ChangeMode(file, 0x1a4);
        }
    }

    /// <inheritdoc />
    public void Dispose() => _root.Dispose();

    private void Unpack(TarReader tar, TarEntry entry, string[] path, CancellationToken cancellation)
    {
        switch (entry.Type)
        {
            case '0' or '7': WriteFile(tar, entry, path, cancellation); break;
            case '1': HardLink(entry, path); break;
            case '2': SymbolicLink(entry, path); break;
            case '3' or '4': throw Wrong(entry.Name, "is a device; leave it out, /dev is provided");
            case '5':
                MakeDirectory(path, ((uint)entry.Mode & PermissionBits) | 0x1c0, entry.Name, keepMode: false);
                break;
            case '6': throw Wrong(entry.Name, "is a named pipe; leave it out");
            case 'S': throw Wrong(entry.Name, "is a sparse file; pack it without --sparse");
            default: throw Wrong(entry.Name, $"has the unknown type '{entry.Type}'");
        }
    }

    private void WriteFile(TarReader tar, TarEntry entry, string[] path, CancellationToken cancellation)
    {
        using var parent = OpenDirectory(path[..^1], entry.Name);
        using var file = CreateFile(parent, path[^1], entry.Name);
        long written = 0;
        while (tar.Read(_buffer) is > 0 and var count)
        {
            cancellation.ThrowIfCancellationRequested();
            RandomAccess.Write(file, _buffer.AsSpan(0, count), written);
            written += count;
        }
        Check(Libc.ChangeMode(file, ((uint)entry.Mode & PermissionBits) | 0x100), entry.Name);
        if (entry.Modified is { } modified)
            File.SetLastWriteTimeUtc(file, modified.UtcDateTime);
    }

    private void HardLink(TarEntry entry, string[] path)
    {
        var target = Parts(entry.LinkName, entry.Name);
        if (target.Length == 0 || target.SequenceEqual(path))
            throw Wrong(entry.Name, $"is a hard link to '{entry.LinkName}'");
        using var from = OpenDirectory(target[..^1], entry.Name);
        if (Libc.Stat(from, target[^1], Libc.StatNoFollow, Libc.StatBasic, out var s) != 0 || !s.IsRegularFile)
            throw Wrong(entry.Name, $"is a hard link to '{entry.LinkName}', which is no file before it");
        using var to = OpenDirectory(path[..^1], entry.Name);
        MakeRoom(to, path[^1], entry.Name);
        Check(Libc.HardLinkAt(from, target[^1], to, path[^1], 0), entry.Name);
    }

    // Where it leads is up to the container: in it, every path ends within this root.
    private void SymbolicLink(TarEntry entry, string[] path)
    {
        if (entry.LinkName.Length is 0 or > PathBytesMax || entry.LinkName.Contains('\0'))
            throw Wrong(entry.Name, "is a link to nothing");
        using var parent = OpenDirectory(path[..^1], entry.Name);
        MakeRoom(parent, path[^1], entry.Name);
        Check(Libc.SymbolicLinkAt(entry.LinkName, parent, path[^1]), entry.Name);
    }

    private void MakeDirectory(string[] path, uint mode, string entry, bool keepMode)
    {
        using var parent = OpenDirectory(path[..^1], entry);
        var isNew = Libc.MakeDirectoryAt(parent, path[^1], mode) == 0;
        using var directory = OpenChild(parent, path[^1], entry);
        if (isNew || !keepMode)
            Check(Libc.ChangeMode(directory, mode), entry);
    }

    private static SafeFileHandle CreateFile(SafeFileHandle parent, string name, string entry)
    {
        MakeRoom(parent, name, entry);
        var flags = Libc.OpenReadWrite | Libc.OpenCreate | Libc.OpenExclusive | Libc.OpenNoFollow
            | Libc.OpenCloseOnExec;
        return Require(Libc.OpenAt(parent, name, flags, 0x180), entry);
    }

    // Of two entries with one name the later one counts. What links to the earlier one's file keeps it.
    private static void MakeRoom(SafeFileHandle parent, string name, string entry)
    {
        if (Libc.UnlinkAt(parent, name, 0) != 0 && Marshal.GetLastPInvokeError() != Libc.Enoent)
            throw Wrong(entry, "takes the place of a directory");
    }

    /// <summary>The directory, made where it is missing; never through a link.</summary>
    private SafeFileHandle OpenDirectory(ReadOnlySpan<string> path, string entry)
    {
        var at = Require(Libc.OpenAt(_root, ".", DirectoryCalls.OpenFlags, 0), entry);
        foreach (var name in path)
        {
            using var parent = at;
            if (Libc.MakeDirectoryAt(parent, name, DirectoryMode) == 0)
            {
                Count();
                at = OpenChild(parent, name, entry);
                Check(Libc.ChangeMode(at, DirectoryMode), entry);
                continue;
            }
            at = OpenChild(parent, name, entry);
        }
        return at;
    }

    private static SafeFileHandle OpenChild(SafeFileHandle parent, string name, string entry)
    {
        var descriptor = Libc.OpenAt(parent, name, DirectoryCalls.OpenFlags, 0);
        if (descriptor >= 0)
            return new SafeFileHandle(descriptor, ownsHandle: true);
        if (Libc.Stat(parent, name, Libc.StatNoFollow, Libc.StatBasic, out var s) == 0 && !s.IsDirectory)
            throw Wrong(entry, $"needs '{name}' to be a directory, but it is a link or a file");
        return Require(descriptor, entry);
    }

    // Each takes an inode, and one entry may stand for a thousand: directories that only the paths of others name.
    private void Count()
    {
        if (++_entries > _entriesMax)
        {
            throw TarReader.Wrong(
                $"has more than {_entriesMax} files, directories and links (images.entries-max)");
        }
    }

    private static string[] Parts(string path, string entry)
    {
        if (path.StartsWith('/'))
            throw Wrong(entry, $"has the absolute path '{path}'; pack it with tar -C <root> .");
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(p => p != ".").ToArray();
        if (parts.Contains("..") || path.Contains('\0'))
            throw Wrong(entry, $"has the path '{path}', which leads out of the root");
        var bytes = Encoding.UTF8.GetByteCount(path);
        return bytes <= PathBytesMax ? parts : throw Wrong(path[..100], $"has a path of {bytes} bytes");
    }

    private static SafeFileHandle Require(int descriptor, string entry)
    {
        Check(descriptor, entry);
        return new SafeFileHandle(descriptor, ownsHandle: true);
    }

    private static void Check(int result, string entry)
    {
        if (result >= 0)
            return;
        var error = Libc.Describe(Marshal.GetLastPInvokeError());
        // The disk may be to blame for it.
        throw new RunnerException(Wrong(entry, $"cannot be unpacked: {error}").Message);
    }

    private static BadImageException Wrong(string entry, string what) =>
        TarReader.Wrong($"cannot be used: '{entry}' {what}");
}
