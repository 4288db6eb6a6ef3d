using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Runtara.Persistence.Sqlite;

/// <summary>
/// A lock on a file beside the database, which goes with the process however that ends. Not on the database itself,
/// because SQLite has locks of its own there.
/// </summary>
internal sealed class SqliteOwnership : IOwnership
{
    private const string Suffix = ".lock";
    private const int OwnerBytesMax = 8192;

    // What .NET makes of flock's EWOULDBLOCK.
    private const int HeldByAnother = 11;

    private readonly SafeFileHandle _lock;

    private SqliteOwnership(SafeFileHandle @lock) => _lock = @lock;

    public Task<string> Lost { get; } = new TaskCompletionSource<string>().Task;

    public static SqliteOwnership Take(string database, StoreOptions options)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(database)!);
        // Two names of one file are one database.
        var file = new FileInfo(database);
        var path = (file.LinkTarget is null ? database : file.ResolveLinkTarget(true)!.FullName) + Suffix;
        try
        {
            var handle = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            Sign(handle, Owner.Myself(options));
            return new SqliteOwnership(handle);
        }
        catch (IOException e) when (e.HResult == HeldByAnother)
        {
            throw new DatabaseOwnedException(options, Read(path));
        }
    }

    public ValueTask DisposeAsync()
    {
        _lock.Dispose();
        return ValueTask.CompletedTask;
    }

    private static void Sign(SafeFileHandle handle, string owner)
    {
        try
        {
            RandomAccess.SetLength(handle, 0);
            RandomAccess.Write(handle, Encoding.UTF8.GetBytes(owner), 0);
        }
        catch (IOException)
        {
            // A full disk. It is only for the message of another daemon.
        }
    }

    private static string Read(string path)
    {
        // .NET would ask for a lock of its own.
        using var handle = new SafeFileHandle(Open(path, flags: 0), ownsHandle: true);
        if (handle.IsInvalid)
            return "";
        var bytes = new byte[OwnerBytesMax];
        return Encoding.UTF8.GetString(bytes, 0, RandomAccess.Read(handle, bytes, 0));
    }

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);
}
