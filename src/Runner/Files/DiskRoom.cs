namespace Runtara.Runner.Files;

/// <summary>
/// The room on the disk of the data directory. A container that is started without any fails in a dozen ways, none of
/// them its own fault; so starts wait until there is room again.
/// </summary>
public static class DiskRoom
{
    /// <summary>
    /// Why no container can be started, for operators; null when there is room, or when that cannot be told.
    /// </summary>
    public static string? Problem(string dataDirectory, long bytesMin)
    {
        long free;
        try
        {
            free = new DriveInfo(Path.GetFullPath(dataDirectory)).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
        return free >= bytesMin
            ? null
            : FormattableString.Invariant(
                $"the disk of '{dataDirectory}' is full: {free:N0} bytes are free, and it takes {bytesMin:N0} ")
                + "(runner.disk-free-min) to start a container; make room on it";
    }
}
