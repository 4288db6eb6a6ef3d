using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Runtara.Actors.Images;

namespace Runtara.Runner.Files;

/// <summary>
/// This node's copies of images: <c>images/&lt;sha256&gt;/rootfs</c>, a root file system read-only to every container;
/// of a static executable it is <c>/binary</c> and what is mounted upon. The digest of the root is kept beside it, in
/// <c>tree</c>. The first launch by a daemon compares all bytes with it; later ones compare a stamp
/// (<see cref="RootTree"/>), and all bytes only when that differs. A root that is not what it was is fetched again,
/// once; what containers run from is moved aside for it, which they do not notice, and stays until they have ended.
/// </summary>
internal sealed class ImageCache(
    string directory, IImageStore images, ImageLimits limits, TimeProvider time, ILogger log)
{
    private const string TreeName = "tree";
    private const string Aside = "aside";

    // Out of memory, out of files, in the system or in this process: that says nothing about what is on the disk.
    private static readonly int[] Shortages = [12, 23, 24];

    // The same bytes would fail again, and those who ask are many at once and then attempt after attempt.
    private static readonly TimeSpan FailureKept = TimeSpan.FromMinutes(1);
    private readonly ImageFetcher _fetcher = new(images, limits);
    private readonly ImageUses _uses = new();
    private readonly ConcurrentDictionary<string, Copy> _copies = new();
    private long _ticket;
    private int _digests;
    private int _looks;

    /// <summary>How often all bytes of a root were read to check it.</summary>
    internal int Digests => _digests;

    /// <summary>How often the stamp of a root was taken.</summary>
    internal int Looks => _looks;

    /// <summary>
    /// The root file system of an image, verified after this was called. Concurrent launches wait for one unpacking,
    /// and share what was found.
    /// </summary>
    internal async Task<string> EnsureAsync(string sha256, CancellationToken cancellation)
    {
        if (!IsDigest(sha256))
            throw new RunnerException($"'{sha256}' is not the SHA-256 of an image");
        var copy = CopyOf(sha256);
        await using var interest = copy.Fetch.Enter();
        var arrival = Interlocked.Increment(ref _ticket);
        await copy.Gate.WaitAsync(cancellation);
        try
        {
            if (copy.Failure is { } failure && time.GetUtcNow() < copy.FailureUntil)
                throw new BadImageException(failure);
            if (copy.LookedAt < arrival)
                await EnsureAloneAsync(sha256, copy, cancellation);
            var home = Path.Combine(directory, sha256);
            File.SetLastWriteTimeUtc(Path.Combine(home, TreeName), time.GetUtcNow().UtcDateTime);
            return RootIn(home);
        }
        finally
        {
            copy.Gate.Release();
        }
    }

    /// <summary>
    /// Makes the directory; what an earlier daemon began and did not finish is gone, and what it moved aside, except of
    /// the images that its containers still run from: any image, when one of these is null.
    /// </summary>
    internal void Prepare(IReadOnlyCollection<string?> running)
    {
        Directory.CreateDirectory(directory);
        foreach (var leftover in Directory.GetDirectories(directory, ".*.*"))
        {
            if (Path.GetFileName(leftover).Split('.') is ["", var sha256, var kind, ..] && IsDigest(sha256)
                && !(kind == Aside && (running.Contains(sha256) || running.Contains(null))))
                Discard(leftover);
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

    /// <summary>Whether an error of a check says that the copy is not what it was.</summary>
    internal static bool IsDamage(Exception e) =>
        e is UnauthorizedAccessException || (e is IOException && !Shortages.Contains(e.HResult));

    private static string RootIn(string home) => Path.Combine(home, "rootfs");

    private Copy CopyOf(string sha256) => _copies.GetOrAdd(sha256, _ => new Copy());

    private void Evict(string home, string sha256)
    {
        var copy = CopyOf(sha256);
        // Held by a launch that wants this very image.
        if (!copy.Gate.Wait(0))
            return;
        var doomed = Hidden(sha256);
        try
        {
            if (_uses.Has(sha256))
                return;
            Directory.Move(home, doomed);
            (copy.Stamp, copy.LookedAt) = (null, 0);
        }
        finally
        {
            copy.Gate.Release();
        }
        log.ImageEvicted(sha256);
        Discard(doomed);
    }

    private async Task EnsureAloneAsync(string sha256, Copy copy, CancellationToken cancellation)
    {
        var home = Path.Combine(directory, sha256);
        if (Directory.Exists(home))
        {
            if (await Task.Run(() => IsIntact(home, copy, cancellation), cancellation))
                return;
            copy.LookedAt = 0;
            log.ImageDamaged(sha256);
        }
        try
        {
            await copy.Fetch.RunAsync(wanted => FetchAsync(home, sha256, wanted), cancellation);
        }
        catch (BadImageException e)
        {
            (copy.Failure, copy.FailureUntil) = (e.Message, time.GetUtcNow() + FailureKept);
            throw;
        }
        var looked = Look();
        (copy.Stamp, copy.LookedAt) = (RootTree.Stamp(RootIn(home)), looked);
    }

    private bool IsIntact(string home, Copy copy, CancellationToken cancellation)
    {
        try
        {
            var looked = Look();
            var stamp = RootTree.Stamp(RootIn(home));
            if (copy.Stamp != stamp)
            {
                Interlocked.Increment(ref _digests);
                if (File.ReadAllText(Path.Combine(home, TreeName)) != RootTree.Digest(RootIn(home), cancellation))
                    return false;
            }
            (copy.Stamp, copy.LookedAt) = (stamp, looked);
            return true;
        }
        catch (Exception e) when (IsDamage(e))
        {
            return false;
        }
    }

    // Whoever arrived with a lower number may share what is found.
    private long Look()
    {
        Interlocked.Increment(ref _looks);
        return Interlocked.Increment(ref _ticket);
    }

    private async Task FetchAsync(string home, string sha256, CancellationToken cancellation)
    {
        Directory.CreateDirectory(directory);
        var staging = Hidden(sha256);
        try
        {
            Directory.CreateDirectory(staging, Modes.Private);
            var root = RootIn(staging);
            await _fetcher.FetchAsync(sha256, Path.Combine(staging, "image"), root, cancellation);
            await File.WriteAllTextAsync(
                Path.Combine(staging, TreeName), RootTree.Digest(root, cancellation), cancellation);
            MoveAside(home, sha256);
            Directory.Move(staging, home);
            File.SetUnixFileMode(home, Modes.Executable);
        }
        finally
        {
            Discard(staging);
        }
    }

    // What is mounted of it follows the move.
    private void MoveAside(string home, string sha256)
    {
        if (!Directory.Exists(home))
            return;
        var aside = Hidden($"{sha256}.{Aside}");
        Directory.Move(home, aside);
        _uses.WhenOver(sha256, () =>
        {
            try
            {
                Discard(aside);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // The next start tries again.
                log.EvictionFailed(e.Message);
            }
        });
    }

    private string Hidden(string name) => Path.Combine(directory, $".{name}.{Path.GetRandomFileName()}");

    private static bool IsDigest(string name) => name.Length == 64 && name.All(char.IsAsciiHexDigitLower);

    private static void Discard(string path)
    {
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
    }

    /// <summary>What is known of one image. What can be set is read and set by who holds the gate.</summary>
    private sealed class Copy
    {
        internal SemaphoreSlim Gate { get; } = new(1);

        internal SharedWork Fetch { get; } = new();

        internal string? Stamp { get; set; }

        /// <summary>The number of the last look that found it intact; 0: it may not be.</summary>
        internal long LookedAt { get; set; }

        /// <summary>Why it could not be unpacked.</summary>
        internal string? Failure { get; set; }

        internal DateTimeOffset FailureUntil { get; set; }
    }
}
