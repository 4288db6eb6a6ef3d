using Runtara.Runner.Native;

namespace Runtara.Runner.Files;

/// <summary>
/// The room on the disk of the data directory. A container that is started without any fails in a dozen ways, none of
/// them its own fault; so starts wait until there is room again.
/// </summary>
public static class DiskRoom
{
    private static readonly int[] Shortages = [Libc.Enospc, Libc.Edquot];

    /// <summary>
    /// What is used up when the system answers with this error to a write below the path, and what to do; null when the
    /// error is about something else.
    /// </summary>
    public static string? Shortage(int error, string path) => error switch
    {
        Libc.Edquot => $"the disk quota is used up; raise it, or remove something below '{path}'",
        Libc.Enospc when Libc.StatFileSystem(path, out var disk) == 0 && disk.InodesLeft == 0 =>
            $"no inodes are free; remove files from the disk of '{path}'",
        Libc.Enospc => $"the disk is full; make room on the disk of '{path}'",
        _ => null,
    };

    /// <summary>
    /// Why no container can be started, for operators; null when there is room, or when that cannot be told.
    /// </summary>
    internal static string? Problem(string dataDirectory, long bytesMin, long inodesMin)
    {
        if (Libc.StatFileSystem(Path.GetFullPath(dataDirectory), out var disk) != 0)
            return null;
        if (disk.BytesFree < (ulong)bytesMin)
        {
            return FormattableString.Invariant(
                $"the disk of '{dataDirectory}' is full: {disk.BytesFree:N0} bytes are free, and it takes ")
                + FormattableString.Invariant(
                    $"{bytesMin:N0} (runner.disk-free-min) to start a container; make room on it");
        }
        return disk.InodesLeft is not { } inodes || inodes >= (ulong)inodesMin
            ? null
            : FormattableString.Invariant(
                $"no inodes are free on the disk of '{dataDirectory}' for one more container: it has {inodes:N0}, and ")
                + FormattableString.Invariant(
                    $"{inodesMin:N0} (runner.disk-inodes-min) must be there; remove files from it");
    }

    /// <summary>Whether the words of a failure are the system's for a disk or a quota that is used up.</summary>
    internal static bool IsShortage(string error) =>
        Shortages.Any(number => error.Contains(Libc.Describe(number), StringComparison.Ordinal));

    /// <summary>
    /// As <see cref="Problem"/>, by taking so many bytes for a moment: the room within a quota is not told otherwise.
    /// </summary>
    internal static string? Try(string dataDirectory, long bytes)
    {
        var path = Path.Combine(dataDirectory, ".room");
        var error = Libc.TakeRoom(path, Math.Max(1, bytes));
        return Shortage(error, dataDirectory);
    }
}
