using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Runtara.Runner.Native;

namespace Runtara.Runner.Files;

/// <summary>
/// A directory that a hostile program may write in too. Every call takes a plain file name, resolves it in this open
/// directory and nowhere else, and follows no link; what is read is a regular file of bounded size.
/// </summary>
internal sealed class SafeDirectory : IDisposable
{
    private readonly SafeFileHandle _handle;

    private SafeDirectory(SafeFileHandle handle) => _handle = handle;

    internal static SafeDirectory Open(string path) => new(DirectoryCalls.Open(path));

    /// <summary>A new, empty file, readable and writable by us alone; whatever had the name is gone.</summary>
    internal SafeFileHandle Create(string name)
    {
        Remove(name);
        var flags = Libc.OpenReadWrite | Libc.OpenCreate | Libc.OpenExclusive | Libc.OpenNoFollow
            | Libc.OpenCloseOnExec;
        var descriptor = Libc.OpenAt(_handle, name, flags, 0x1a4);
        if (descriptor < 0)
            throw new IOException($"cannot create {name}: {LastError()}");
        return new SafeFileHandle(descriptor, ownsHandle: true);
    }

    internal void Write(string name, ReadOnlySpan<byte> bytes)
    {
        using var file = Create(name);
        RandomAccess.Write(file, bytes, 0);
    }

    /// <summary>The content of a regular file of at most <paramref name="bytesMax"/> bytes.</summary>
    internal SafeRead Read(string name, int bytesMax)
    {
        var flags = Libc.OpenReadOnly | Libc.OpenNoFollow | Libc.OpenNonBlocking | Libc.OpenCloseOnExec;
        var descriptor = Libc.OpenAt(_handle, name, flags, 0);
        if (descriptor < 0)
        {
            var missing = Marshal.GetLastPInvokeError() == Libc.Enoent;
            return new SafeRead(null, missing ? null : $"{name} cannot be opened: {LastError()}");
        }
        using var file = new SafeFileHandle(descriptor, ownsHandle: true);
        if (Libc.Stat(file, "", Libc.StatEmptyPath, Libc.StatBasic, out var status) != 0 || !status.IsRegularFile)
            return new SafeRead(null, $"{name} is not a regular file");
        if (status.Size > (ulong)bytesMax)
            return new SafeRead(null, $"{name} has {status.Size} bytes, more than {bytesMax}");
        var bytes = new byte[(int)status.Size];
        var length = 0;
        while (length < bytes.Length && RandomAccess.Read(file, bytes.AsSpan(length), length) is > 0 and var count)
            length += count;
        return new SafeRead(bytes.AsMemory(0, length), null);
    }

    /// <summary>Removes a file, a link, or a directory with all in it; nothing when there is none.</summary>
    internal void Remove(string name)
    {
        if (Libc.UnlinkAt(_handle, name, 0) == 0 || Marshal.GetLastPInvokeError() == Libc.Enoent)
            return;
        var error = LastError();
        if (!IsDirectory(name))
            throw new IOException($"cannot remove {name}: {error}");
        using (var child = new SafeDirectory(DirectoryCalls.Open(_handle, name)))
        {
            foreach (var entry in child.Names())
                child.Remove(entry);
        }
        if (Libc.UnlinkAt(_handle, name, Libc.UnlinkDirectory) != 0)
            throw new IOException($"cannot remove directory {name}: {LastError()}");
    }

    /// <summary>Makes the name a directory; what else had the name is gone.</summary>
    internal void EnsureDirectory(string name)
    {
        if (IsDirectory(name))
            return;
        Remove(name);
        if (Libc.MakeDirectoryAt(_handle, name, 0x1ed) != 0)
            throw new IOException($"cannot create directory {name}: {LastError()}");
    }

    /// <inheritdoc />
    public void Dispose() => _handle.Dispose();

    private bool IsDirectory(string name)
    {
        const int noFollow = 0x100;
        return Libc.Stat(_handle, name, noFollow, Libc.StatBasic, out var status) == 0 && status.IsDirectory;
    }

    // The magic link names the open directory itself, whatever happens to its path meanwhile.
    private IEnumerable<string> Names() =>
        Directory.GetFileSystemEntries($"/proc/self/fd/{_handle.DangerousGetHandle()}")
            .Select(p => Path.GetFileName(p)!);

    private static string LastError() => Libc.Describe(Marshal.GetLastPInvokeError());
}

/// <summary>What a read found: bytes, or why not; neither when there is no such file.</summary>
internal readonly record struct SafeRead(ReadOnlyMemory<byte>? Bytes, string? Problem);
