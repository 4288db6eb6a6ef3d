using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Runtara.Runner.Native;

/// <summary>
/// Directories, opened through no link, and by file names as the bytes that they are: a name need not be text, and
/// .NET's is another one then.
/// </summary>
internal static unsafe partial class DirectoryCalls
{
    private const int NameOffset = 19;

    /// <summary>For open: a directory itself, never what a link leads to.</summary>
    internal static int OpenFlags =>
        Libc.OpenReadOnly | Libc.OpenDirectory | Libc.OpenNoFollow | Libc.OpenCloseOnExec;

    /// <summary>The next entries of an open directory, without . and ..; none when there are no more.</summary>
    internal static List<byte[]> Read(SafeFileHandle directory, byte[] buffer)
    {
        var names = new List<byte[]>();
        fixed (byte* start = buffer)
        {
            while (names.Count == 0)
            {
                var length = GetEntries(EntriesCall, directory, start, (nuint)buffer.Length);
                if (length < 0)
                    throw new IOException($"cannot read a directory: {LastError()}");
                if (length == 0)
                    break;
                for (nint at = 0; at < length;)
                {
                    // struct linux_dirent64: inode (8), offset (8), record length (2), type (1), name.
                    var name = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(start + at + NameOffset);
                    if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
                        names.Add([.. name, 0]);
                    at += *(ushort*)(start + at + 16);
                }
            }
        }
        return names;
    }

    /// <summary>Throws <see cref="IOException"/> with the number of the system's error.</summary>
    internal static SafeFileHandle Open(string path) => Opened(Libc.Open(path, OpenFlags, 0), $"directory {path}");

    /// <summary>As <see cref="Open(string)"/>, in an open directory.</summary>
    internal static SafeFileHandle Open(SafeFileHandle directory, string name) =>
        Opened(Libc.OpenAt(directory, name, OpenFlags, 0), $"directory {name}");

    internal static SafeFileHandle Open(SafeFileHandle directory, byte[] name) =>
        Opened(OpenAt(directory, name, OpenFlags, 0), "a directory");

    /// <summary>Removes a file, a link or an empty directory; false for a directory that is not empty.</summary>
    internal static bool Remove(SafeFileHandle directory, byte[] name)
    {
        const int isDirectory = 21, notEmpty = 39, exists = 17, notPermitted = 1;
        if (UnlinkAt(directory, name, 0) == 0)
            return true;
        var error = Marshal.GetLastPInvokeError();
        if (error == Libc.Enoent)
            return true;
        if (error is not (isDirectory or notPermitted))
            throw new IOException($"cannot remove a file: {Libc.Describe(error)}");
        if (UnlinkAt(directory, name, Libc.UnlinkDirectory) == 0)
            return true;
        error = Marshal.GetLastPInvokeError();
        return error == Libc.Enoent
            || (error is notEmpty or exists
                ? false
                : throw new IOException($"cannot remove a directory: {Libc.Describe(error)}"));
    }

    /// <summary>Gives an entry another name in another directory; false when there is no such entry.</summary>
    internal static bool Move(SafeFileHandle from, byte[] name, SafeFileHandle to, byte[] newName)
    {
        if (RenameAt(from, name, to, newName) == 0)
            return true;
        return Marshal.GetLastPInvokeError() == Libc.Enoent
            ? false
            : throw new IOException($"cannot move a directory: {LastError()}");
    }

    // Not every C library has a function for it.
    private static nint EntriesCall => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 61 : 217;

    private static SafeFileHandle Opened(int descriptor, string what)
    {
        if (descriptor >= 0)
            return new SafeFileHandle(descriptor, ownsHandle: true);
        var error = Marshal.GetLastPInvokeError();
        throw new IOException($"cannot open {what}: {Libc.Describe(error)}", error);
    }

    private static string LastError() => Libc.Describe(Marshal.GetLastPInvokeError());

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint GetEntries(nint number, SafeFileHandle directory, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true)]
    private static partial int OpenAt(SafeFileHandle directory, byte[] name, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true)]
    private static partial int UnlinkAt(SafeFileHandle directory, byte[] name, int flags);

    [LibraryImport("libc", EntryPoint = "renameat", SetLastError = true)]
    private static partial int RenameAt(SafeFileHandle from, byte[] name, SafeFileHandle to, byte[] newName);
}
