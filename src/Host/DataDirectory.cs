using System.Runtime.InteropServices;
using Runtara.Runner.Files;

namespace Runtara.Daemon;

/// <summary>The data directory: whether it can be written in, and the lock that keeps a second daemon out.</summary>
internal static class DataDirectory
{
    /// <summary>What is locked while a daemon uses the directory.</summary>
    public const string LockFile = "daemon.lock";

    private const int MayWriteAndSearch = 2 | 1;

    // What .NET makes of flock's EWOULDBLOCK.
    private const int HeldByAnother = 11;

    /// <summary>
    /// Why nothing can be written below the directory, for a line that names the setting; null when it can. A directory
    /// that is not there yet is judged by the nearest one above it. Writes nothing.
    /// </summary>
    public static string? Problem(string directory)
    {
        var nearest = Nearest(directory);
        if (!Directory.Exists(nearest))
            return $"'{nearest}' is a file and not a directory";
        return access(nearest, MayWriteAndSearch) == 0
            ? null
            : $"'{nearest}' cannot be written in ({Marshal.GetLastPInvokeErrorMessage()}): mount it writable, let the "
                + "daemon's user write in it, or choose another directory";
    }

    /// <summary>Makes the directory and takes its lock, for as long as the stream is open.</summary>
    public static FileStream Take(string directory)
    {
        if (Problem(directory) is { } problem)
            throw new IOException($"the data directory (runtara.data-directory): {problem}");
        try
        {
            Directory.CreateDirectory(directory);
            return new FileStream(
                Path.Combine(directory, LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (DiskRoom.Shortage(e.HResult, Nearest(directory)) is { } shortage)
        {
            throw new IOException($"the data directory (runtara.data-directory) cannot be used: {shortage}", e);
        }
        // Two daemons on one directory would take each other's containers.
        catch (IOException e) when (e.HResult == HeldByAnother)
        {
            throw new IOException(
                $"another runtarad uses the data directory '{directory}' (runtara.data-directory): {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException(
                $"the data directory '{directory}' (runtara.data-directory) cannot be used: {e.Message}", e);
        }
    }

    private static string Nearest(string directory)
    {
        var nearest = Path.GetFullPath(directory);
        while (!Path.Exists(nearest) && Path.GetDirectoryName(nearest) is { } above)
            nearest = above;
        return nearest;
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int access([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int mode);
}
