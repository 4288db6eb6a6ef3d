using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Runtara.Runner.Native;

/// <summary>What unpacking a root file system needs, and the room on a disk.</summary>
internal static partial class Libc
{
    internal const int StatNoFollow = 0x100;

    [LibraryImport("libc", EntryPoint = "symlinkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int SymbolicLinkAt(string target, SafeFileHandle directory, string name);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int HardLinkAt(
        SafeFileHandle fromDirectory, string from, SafeFileHandle toDirectory, string to, int flags);

    [LibraryImport("libc", EntryPoint = "fchmod", SetLastError = true)]
    internal static partial int ChangeMode(SafeFileHandle file, uint mode);

    [LibraryImport("libc", EntryPoint = "statvfs", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int StatFileSystem(string path, out FileSystemStatus status);

    /// <summary>Takes room for a file that is gone again at once; 0, or the number of the error.</summary>
    internal static int TakeRoom(string path, long bytes)
    {
        var descriptor = Open(path, OpenReadWrite | OpenCreate | OpenCloseOnExec, 0x180);
        if (descriptor < 0)
            return Marshal.GetLastPInvokeError();
        using var file = new SafeFileHandle(descriptor, ownsHandle: true);
        var error = Allocate(file, 0, 0, bytes) == 0 ? 0 : Marshal.GetLastPInvokeError();
        File.Delete(path);
        return error;
    }

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);
}

/// <summary>The part of <c>struct statvfs</c> that we read; the same layout on all 64-bit Linux.</summary>
[StructLayout(LayoutKind.Explicit, Size = 128)]
internal struct FileSystemStatus
{
    [FieldOffset(8)] internal ulong BlockBytes;
    [FieldOffset(32)] internal ulong BlocksFree;
    [FieldOffset(40)] internal ulong Inodes;
    [FieldOffset(56)] internal ulong InodesFree;

    internal readonly ulong BytesFree => BlocksFree * BlockBytes;

    /// <summary>How many files can still be made; null where that has no limit of its own, as on btrfs.</summary>
    internal readonly ulong? InodesLeft => Inodes == 0 ? null : InodesFree;
}
