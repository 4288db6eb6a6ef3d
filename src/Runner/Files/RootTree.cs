using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Runtara.Runner.Native;

namespace Runtara.Runner.Files;

/// <summary>
/// Two fingerprints of a directory with all in it. The digest is of every byte, name, link and mode. The stamp is of
/// inode, size, modification and change time, which no program can set back: cheap, and different after any change
/// that went through the file system.
/// </summary>
internal static class RootTree
{
    internal static string Stamp(string root)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (path, s) in Walk(root))
        {
            Append(hash, string.Create(
                CultureInfo.InvariantCulture,
                $"{path}\0{s.Mode} {s.Inode} {s.Size} {s.ModifiedSeconds}.{s.ModifiedNanoseconds} "
                + $"{s.ChangedSeconds}.{s.ChangedNanoseconds}\n"));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    internal static string Digest(string root, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[128 * 1024];
        foreach (var (path, s) in Walk(root))
        {
            cancellation.ThrowIfCancellationRequested();
            var full = Path.Combine(root, path);
            var isLink = !s.IsRegularFile && !s.IsDirectory;
            var target = isLink ? new FileInfo(full).LinkTarget : null;
            var size = s.IsRegularFile ? s.Size : 0;
            Append(hash, string.Create(CultureInfo.InvariantCulture, $"{path}\0{s.Mode}\0{size}\0{target}\n"));
            if (s.IsRegularFile)
                Append(hash, full, buffer);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static IEnumerable<(string Path, FileStatus Status)> Walk(string root)
    {
        using var handle = DirectoryCalls.Open(root);
        var waiting = new Stack<string>([""]);
        while (waiting.TryPop(out var directory))
        {
            var names = Directory.GetFileSystemEntries(Path.Combine(root, directory)).Select(p => Path.GetFileName(p)!);
            foreach (var name in names.Order(StringComparer.Ordinal))
            {
                var path = Path.Combine(directory, name);
                if (Libc.Stat(handle, path, Libc.StatNoFollow, Libc.StatBasic, out var status) != 0)
                    throw new IOException($"{path} is gone");
                yield return (path, status);
                if (status.IsDirectory)
                    waiting.Push(path);
            }
        }
    }

    private static void Append(IncrementalHash hash, string text) => hash.AppendData(Encoding.UTF8.GetBytes(text));

    private static void Append(IncrementalHash hash, string file, byte[] buffer)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read, 0);
        while (stream.Read(buffer) is > 0 and var count)
            hash.AppendData(buffer, 0, count);
    }
}
