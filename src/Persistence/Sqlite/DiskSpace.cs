namespace Runtara.Persistence.Sqlite;

/// <summary>Whether a failure is that of a disk without room, which SQLite and .NET tell in several ways.</summary>
internal static class DiskSpace
{
    private const int NoSpaceLeft = 28;

    // Less than one page and its header in the write-ahead log can be written.
    private const long PageBytes = 8192;

    public static bool IsFull(Exception cause, string path) => cause is IOException { HResult: NoSpaceLeft }
        || (cause is IOException or Microsoft.Data.Sqlite.SqliteException && Available(path) < PageBytes);

    public static string Text(string path, string detail) =>
        $"the disk is full ({detail}); make room on the disk of '{path}'";

    private static long Available(string path)
    {
        try
        {
            return new DriveInfo(Path.GetDirectoryName(Path.GetFullPath(path))!).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return long.MaxValue;
        }
    }
}
