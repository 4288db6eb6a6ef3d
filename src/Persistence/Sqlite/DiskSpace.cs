using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;

namespace Runtara.Persistence.Sqlite;

/// <summary>What a disk is out of: bytes, inodes or a quota, which SQLite and .NET tell in several ways.</summary>
internal static class DiskSpace
{
    private const int NoSpaceLeft = 28, QuotaUsedUp = 122;
    private const int InputOutput = 10, Full = 13, CannotOpen = 14;

    // Less than one page and its header in the write-ahead log can be written.
    private const int PageBytes = 8192;

    /// <summary>What is used up and what to do, for operators; null when the failure has another cause.</summary>
    /// <param name="cause">The failure.</param>
    /// <param name="path">A file or directory on the disk that it is about.</param>
    public static string? Describe(Exception cause, string path)
    {
        if (cause is not (IOException or SqliteException))
            return null;
        var detail = cause.Message.TrimEnd('.');
        var full = $"the disk is full ({detail}); make room on the disk of '{path}'";
        var directory = NearestDirectory(path);
        var isKnown = StatFileSystem(directory, out var disk) == 0;
        if (cause is SqliteException { SqliteErrorCode: Full } || (isKnown && disk.BytesFree < PageBytes))
            return full;
        return ErrorOf(cause, directory) switch
        {
            NoSpaceLeft when isKnown && disk.HasNoInodes =>
                $"no inodes are free ({detail}); remove files from the disk of '{path}'",
            NoSpaceLeft => full,
            QuotaUsedUp => $"the disk quota is used up ({detail}); raise it, or remove something below '{path}'",
            _ => null,
        };
    }

    // SQLite keeps the number of the system's error to itself: a file that is gone again at once meets the same one.
    private static int ErrorOf(Exception cause, string directory)
    {
        if (cause is not SqliteException { SqliteErrorCode: var code })
            return cause.HResult;
        if (code is not (InputOutput or CannotOpen))
            return 0;
        try
        {
            using var file = new FileStream(
                Path.Combine(directory, $".{Guid.NewGuid():N}"), FileMode.CreateNew, FileAccess.Write, FileShare.None,
                0, FileOptions.DeleteOnClose);
            file.Write(new byte[PageBytes]);
            file.Flush(flushToDisk: true);
            return 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.HResult;
        }
    }

    private static string NearestDirectory(string path)
    {
        var nearest = Path.GetFullPath(path);
        while (!Directory.Exists(nearest) && Path.GetDirectoryName(nearest) is { } above)
            nearest = above;
        return nearest;
    }

    [DllImport("libc", EntryPoint = "statvfs", SetLastError = true)]
    private static extern int StatFileSystem(
        [MarshalAs(UnmanagedType.LPUTF8Str)] string path, out FileSystemStatus status);

    /// <summary>The part of <c>struct statvfs</c> that we read; the same layout on all 64-bit Linux.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct FileSystemStatus
    {
        [FieldOffset(8)] private readonly ulong _blockBytes;
        [FieldOffset(32)] private readonly ulong _blocksFree;
        [FieldOffset(40)] private readonly ulong _inodes;
        [FieldOffset(56)] private readonly ulong _inodesFree;

        public readonly ulong BytesFree => _blocksFree * _blockBytes;

        // A file system that makes them as it needs them, as btrfs does, has a total of 0.
        public readonly bool HasNoInodes => _inodes > 0 && _inodesFree == 0;
    }
}
