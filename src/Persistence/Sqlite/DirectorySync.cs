using System.Runtime.InteropServices;

namespace Runtara.Persistence.Sqlite;

/// <summary>Makes a rename durable; .NET opens no directories.</summary>
internal static class DirectorySync
{
    private const int ReadOnly = 0;

    public static void Flush(string directory)
    {
        var handle = Open(directory, ReadOnly);
        if (handle < 0)
            throw new IOException($"Cannot open {directory}: error {Marshal.GetLastPInvokeError()}");
        try
        {
            if (Sync(handle) != 0)
                throw new IOException($"Cannot flush {directory}: error {Marshal.GetLastPInvokeError()}");
        }
        finally
        {
            _ = Close(handle);
        }
    }

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static extern int Sync(int handle);

    [DllImport("libc", EntryPoint = "close", SetLastError = true)]
    private static extern int Close(int handle);
}
