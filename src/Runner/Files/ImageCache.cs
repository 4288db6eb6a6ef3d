using System.Buffers;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Runtara.Actors.Images;

namespace Runtara.Runner.Files;

/// <summary>
/// This node's copies of images: <c>images/&lt;sha256&gt;/rootfs</c>, a root file system read-only to every container;
/// of a static executable it is <c>/binary</c> and what is mounted upon. Bytes are hashed while they come from the
/// store, and unpacked only when the hash was right. The digest of the root is kept beside it, in <c>tree</c>. The
/// first launch by a daemon compares all bytes with it; later ones compare a stamp (<see cref="RootTree"/>), and all
/// bytes only when that differs. A root that is not what it was is fetched again, once.
/// </summary>
internal sealed class ImageCache(
    string directory, IImageStore images, ImageLimits limits, TimeProvider time, ILogger log)
{
    private const string TreeName = "tree";
    private readonly ImageUses _uses = new();
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _locks = new();
    private readonly ConcurrentDictionary<string, string> _stamps = new();
    private readonly ConcurrentDictionary<string, SharedWork> _fetches = new();
    private int _digests;

    /// <summary>How often all bytes of a root were read to check it.</summary>
    internal int Digests => _digests;

    /// <summary>The root file system of an image, verified. Concurrent launches wait for one unpacking.</summary>
    internal async Task<string> EnsureAsync(string sha256, CancellationToken cancellation)
    {
        if (!IsDigest(sha256))
            throw new RunnerException($"'{sha256}' is not the SHA-256 of an image");
        await using var interest = FetchOf(sha256).Enter();
        var gate = _locks.GetOrAdd(sha256, _ => new SemaphoreSlim(1));
        await gate.WaitAsync(cancellation);
        try
        {
            var root = await EnsureAloneAsync(sha256, cancellation);
            File.SetLastWriteTimeUtc(Path.Combine(directory, sha256, TreeName), time.GetUtcNow().UtcDateTime);
            return root;
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Makes the directory; what an earlier daemon began and did not finish is gone.</summary>
    internal void Prepare()
    {
        Directory.CreateDirectory(directory);
        foreach (var unfinished in Directory.GetDirectories(directory, ".*.*"))
        {
            if (Path.GetFileName(unfinished).Split('.') is ["", var sha256, ..] && IsDigest(sha256))
                Discard(unfinished);
        }
    }

    /// <summary>
    /// Keeps an image from eviction until disposed; every image when it is not known which one is used.
    /// </summary>
    internal IDisposable Use(string? sha256) => _uses.Begin(sha256);

    /// <summary>
    /// Removes the images that no container runs from and no launch has asked for within the time. It never throws.
    /// </summary>
    internal void Evict(TimeSpan unused)
    {
        try
        {
            var latest = time.GetUtcNow().UtcDateTime - unused;
            foreach (var home in Directory.GetDirectories(directory))
            {
                // The store of a daemon without PostgreSQL is here too.
                if (IsDigest(Path.GetFileName(home))
                    && File.GetLastWriteTimeUtc(Path.Combine(home, TreeName)) < latest)
                    Evict(home, Path.GetFileName(home));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            log.EvictionFailed(e.Message);
        }
    }

    private void Evict(string home, string sha256)
    {
        var gate = _locks.GetOrAdd(sha256, _ => new SemaphoreSlim(1));
        // Held by a launch that wants this very image.
        if (!gate.Wait(0))
            return;
        var doomed = Path.Combine(directory, $".{sha256}.{Path.GetRandomFileName()}");
        try
        {
            if (_uses.Has(sha256))
                return;
            Directory.Move(home, doomed);
            _stamps.TryRemove(sha256, out _);
        }
        finally
        {
            gate.Release();
        }
        log.ImageEvicted(sha256);
        Discard(doomed);
    }

    private async Task<string> EnsureAloneAsync(string sha256, CancellationToken cancellation)
    {
        var home = Path.Combine(directory, sha256);
        var root = Path.Combine(home, "rootfs");
        if (Directory.Exists(home))
        {
            if (await Task.Run(() => IsIntact(home, root, sha256, cancellation), cancellation))
                return root;
            log.ImageDamaged(sha256);
        }
        await FetchOf(sha256).RunAsync(wanted => FetchAsync(home, sha256, wanted), cancellation);
        _stamps[sha256] = RootTree.Stamp(root);
        return root;
    }

    private SharedWork FetchOf(string sha256) => _fetches.GetOrAdd(sha256, _ => new SharedWork());

    private bool IsIntact(string home, string root, string sha256, CancellationToken cancellation)
    {
        try
        {
            var stamp = RootTree.Stamp(root);
            if (_stamps.TryGetValue(sha256, out var known) && known == stamp)
                return true;
            Interlocked.Increment(ref _digests);
            if (File.ReadAllText(Path.Combine(home, TreeName)) != RootTree.Digest(root, cancellation))
                return false;
            _stamps[sha256] = stamp;
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
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
            Directory.CreateDirectory(staging, Modes.Private);
            var blob = Path.Combine(staging, "image");
            var actual = await CopyAsync(sha256, blob, cancellation);
            if (actual != sha256)
                throw new RunnerException($"image {sha256} is damaged in the store: its bytes have SHA-256 {actual}");
            var root = Path.Combine(staging, "rootfs");
            await Task.Run(() => Unpack(blob, root, cancellation), cancellation);
            File.Delete(blob);
            await File.WriteAllTextAsync(
                Path.Combine(staging, TreeName), RootTree.Digest(root, cancellation), cancellation);
            Discard(home);
            Directory.Move(staging, home);
            File.SetUnixFileMode(home, Modes.Executable);
        }
        finally
        {
            Discard(staging);
        }
    }

    private void Unpack(string blob, string root, CancellationToken cancellation)
    {
        using var unpacker = new RootUnpacker(root, limits.EntriesMax);
        if (FormatOf(blob) is { } format and not ImageFormat.Executable)
            UnpackTar(unpacker, blob, format, cancellation);
        else
        {
            var binary = Path.Combine(root, "binary");
            File.Move(blob, binary);
            File.SetUnixFileMode(binary, Modes.Executable);
        }
        unpacker.MakeMountPoints();
    }

    private void UnpackTar(RootUnpacker unpacker, string blob, ImageFormat format, CancellationToken cancellation)
    {
        try
        {
            using var tar = ImageFormats.OpenTar(File.OpenRead(blob), format);
            unpacker.Unpack(new TarReader(tar, limits), cancellation);
        }
        catch (Exception e) when (ImageFormats.IsBroken(e))
        {
            throw TarReader.Wrong($"cannot be decompressed: {e.Message}");
        }
    }

    private static ImageFormat? FormatOf(string blob)
    {
        using var file = File.OpenRead(blob);
        var start = new byte[512];
        return ImageFormats.Recognise(start.AsSpan(0, file.ReadAtLeast(start, start.Length, false)));
    }

    private async Task<string> CopyAsync(string sha256, string target, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(128 * 1024);
        try
        {
            await using var source = await OpenAsync(sha256, cancellation);
            await using var file = new FileStream(target, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0);
            while (await source.ReadAsync(buffer, cancellation) is > 0 and var count)
            {
                hash.AppendData(buffer, 0, count);
                await file.WriteAsync(buffer.AsMemory(0, count), cancellation);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private async Task<Stream> OpenAsync(string sha256, CancellationToken cancellation)
    {
        try
        {
            return await images.OpenBlobAsync(sha256, cancellation);
        }
        catch (FileNotFoundException)
        {
            throw new RunnerException($"the bytes of image {sha256} are not in the store");
        }
    }

    private static bool IsDigest(string name) => name.Length == 64 && name.All(char.IsAsciiHexDigitLower);

    private static void Discard(string path)
    {
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
    }
}
