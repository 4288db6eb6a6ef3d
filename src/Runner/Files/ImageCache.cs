using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Runtara.Actors.Images;
using Runtara.Runner.Native;

namespace Runtara.Runner.Files;

/// <summary>
/// This node's copies of images: <c>images/&lt;sha256&gt;/rootfs/binary</c>, read-only to every container. Bytes are
/// hashed while they are copied. Later launches compare a stamp (inode, size, modification and change time, which no
/// program can set back) with the file and hash it again only when that differs; a wrong hash is fetched again, once.
/// </summary>
internal sealed class ImageCache(string directory, IImageStore images, ILogger log)
{
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _locks = new();

    /// <summary>The root file system of an image, verified.</summary>
    internal async Task<string> EnsureAsync(string sha256, CancellationToken cancellation)
    {
        if (sha256.Length != 64 || !sha256.All(char.IsAsciiHexDigitLower))
            throw new RunnerException($"'{sha256}' is not the SHA-256 of an image");
        var gate = _locks.GetOrAdd(sha256, _ => new SemaphoreSlim(1));
        await gate.WaitAsync(cancellation);
        try
        {
            return await EnsureAloneAsync(sha256, cancellation);
        }
        finally
        {
            gate.Release();
        }
    }

    private async Task<string> EnsureAloneAsync(string sha256, CancellationToken cancellation)
    {
        var home = Path.Combine(directory, sha256);
        var root = Path.Combine(home, "rootfs");
        if (Directory.Exists(home))
        {
            if (await IsIntactAsync(home, sha256, cancellation))
                return root;
            log.ImageDamaged(sha256);
        }
        await FetchAsync(home, sha256, cancellation);
        return root;
    }

    private async Task<bool> IsIntactAsync(string home, string sha256, CancellationToken cancellation)
    {
        var binary = Path.Combine(home, "rootfs", "binary");
        try
        {
            var stamp = StampOf(binary);
            var stampFile = Path.Combine(home, "stamp");
            if (File.Exists(stampFile) && await File.ReadAllTextAsync(stampFile, cancellation) == stamp)
                return true;
            await using var file = File.OpenRead(binary);
            if (Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellation)) != sha256)
                return false;
            await File.WriteAllTextAsync(stampFile, stamp, cancellation);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private async Task FetchAsync(string home, string sha256, CancellationToken cancellation)
    {
        Directory.CreateDirectory(directory);
        var staging = Path.Combine(directory, $".{sha256}.{Path.GetRandomFileName()}");
        try
        {
            var root = Path.Combine(staging, "rootfs");
            MakeMountPoints(root);
            var binary = Path.Combine(root, "binary");
            var actual = await CopyAsync(sha256, binary, cancellation);
            if (actual != sha256)
                throw new RunnerException($"image {sha256} is damaged in the store: its bytes have SHA-256 {actual}");
            File.SetUnixFileMode(binary, Modes.Executable);
            await File.WriteAllTextAsync(Path.Combine(staging, "stamp"), StampOf(binary), cancellation);
            Discard(home);
            Directory.Move(staging, home);
        }
        catch (FileNotFoundException)
        {
            throw new RunnerException($"the bytes of image {sha256} are not in the store");
        }
        finally
        {
            Discard(staging);
        }
    }

    private async Task<string> CopyAsync(string sha256, string target, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(128 * 1024);
        try
        {
            await using var source = await images.OpenBlobAsync(sha256, cancellation);
            await using var file = new FileStream(target, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0);
            while (await source.ReadAsync(buffer, cancellation) is > 0 and var count)
            {
                hash.AppendData(buffer, 0, count);
                await file.WriteAsync(buffer.AsMemory(0, count), cancellation);
            }
            file.Flush(flushToDisk: true);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    // The root is mounted read-only, so what crun mounts upon must be there before.
    private static void MakeMountPoints(string root)
    {
        foreach (var name in new[] { "proc", "dev", "data", "tmp", "etc" })
            Directory.CreateDirectory(Path.Combine(root, name));
        foreach (var name in new[] { "hosts", "resolv.conf" })
            File.WriteAllBytes(Path.Combine(root, "etc", name), []);
    }

    private static string StampOf(string path)
    {
        using var file = File.OpenHandle(path);
        if (Libc.Stat(file, "", Libc.StatEmptyPath, Libc.StatBasic, out var s) != 0 || !s.IsRegularFile)
            throw new IOException($"{path} is not a regular file");
        return string.Create(CultureInfo.InvariantCulture,
            $"{s.Inode} {s.Size} {s.ModifiedSeconds}.{s.ModifiedNanoseconds} "
            + $"{s.ChangedSeconds}.{s.ChangedNanoseconds}");
    }

    private static void Discard(string path)
    {
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
    }
}
