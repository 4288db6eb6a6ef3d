using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;
using Runtara.Runner.Files;
using Runtara.Runner.Native;

namespace Runtara.Runner.Tests.Files;

public sealed class ImageCacheTests : IDisposable
{
    private readonly string _home = Directory.CreateTempSubdirectory("runtara-cache-").FullName;
    private readonly FakeImages _images = new();
    private readonly Calendar _time = new();
    private readonly byte[] _image = Tars.Gzip(Tars.Of(Tars.File("binary", "program"), Tars.Link("link", "binary")));

    private string Sha256 => ProbeProgram.Hash(_image);

    public ImageCacheTests() => _images.Blobs[Sha256] = _image;

    [Fact]
    public async Task All_bytes_are_read_at_the_first_launch_by_a_daemon_and_then_only_when_something_changed()
    {
        var first = NewCache();
        var root = await first.EnsureAsync(Sha256, default);
        await first.EnsureAsync(Sha256, default);
        Assert.Equal(0, first.Digests);

        var second = NewCache();
        await second.EnsureAsync(Sha256, default);
        await second.EnsureAsync(Sha256, default);
        Assert.Equal(1, second.Digests);

        File.SetLastWriteTimeUtc(Path.Combine(root, "binary"), DateTime.UnixEpoch);
        await second.EnsureAsync(Sha256, default);
        await second.EnsureAsync(Sha256, default);
        Assert.Equal((2, 1), (second.Digests, _images.Opened));
    }

    [Theory]
    [InlineData("content")]
    [InlineData("mode")]
    [InlineData("link")]
    [InlineData("extra")]
    [InlineData("missing")]
    [InlineData("digest")]
    public async Task A_damaged_copy_is_fetched_again(string damage)
    {
        var root = await NewCache().EnsureAsync(Sha256, default);
        var binary = Path.Combine(root, "binary");
        switch (damage)
        {
            case "content": await File.WriteAllTextAsync(binary, "Program"); break;
            case "mode": File.SetUnixFileMode(binary, UnixFileMode.UserRead); break;
            case "link":
                File.Delete(Path.Combine(root, "link"));
                File.CreateSymbolicLink(Path.Combine(root, "link"), "other");
                break;
            case "extra": await File.WriteAllTextAsync(Path.Combine(root, "extra"), ""); break;
            case "missing": File.Delete(binary); break;
            default: await File.WriteAllTextAsync(Path.Combine(root, "..", "tree"), ""); break;
        }

        Assert.Equal(root, await NewCache().EnsureAsync(Sha256, default));
        Assert.Equal("program", await File.ReadAllTextAsync(binary));
        Assert.Equal(2, _images.Opened);
        Assert.Equal("binary", new FileInfo(Path.Combine(root, "link")).LinkTarget);
    }

    [Fact]
    public async Task A_copy_that_nothing_used_for_long_is_removed_and_fetched_again_when_it_is_needed()
    {
        var cache = NewCache();
        var root = await cache.EnsureAsync(Sha256, default);
        _time.Advance(TimeSpan.FromDays(2));
        await cache.EnsureAsync(Sha256, default);
        _time.Advance(TimeSpan.FromDays(3));
        cache.Evict(TimeSpan.FromDays(4));
        Assert.True(Directory.Exists(root));

        _time.Advance(TimeSpan.FromDays(2));
        var other = Directory.CreateDirectory(Path.Combine(_home, "blobs")).FullName;
        cache.Evict(TimeSpan.FromDays(4));
        Assert.Equal([other], Directory.GetFileSystemEntries(_home));

        Assert.Equal(root, await cache.EnsureAsync(Sha256, default));
        Assert.Equal("program", await File.ReadAllTextAsync(Path.Combine(root, "binary")));
        Assert.Equal(2, _images.Opened);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_copy_that_a_container_runs_from_stays_until_the_last_one_has_ended(bool isKnown)
    {
        var cache = NewCache();
        var root = await cache.EnsureAsync(Sha256, default);
        _time.Advance(TimeSpan.FromDays(9));
        using (cache.Use(isKnown ? Sha256 : null))
        {
            cache.Use(Sha256).Dispose();
            cache.Evict(TimeSpan.FromDays(4));
            Assert.True(Directory.Exists(root));
        }
        cache.Evict(TimeSpan.FromDays(4));
        Assert.False(Directory.Exists(root));
    }

    [Fact]
    public void What_an_earlier_daemon_did_not_finish_is_gone_after_the_start()
    {
        Directory.CreateDirectory(Path.Combine(_home, $".{Sha256}.abc", "rootfs"));
        var other = Directory.CreateDirectory(Path.Combine(_home, ".other.abc")).FullName;
        NewCache().Prepare([]);
        Assert.Equal([other], Directory.GetFileSystemEntries(_home));
    }

    [Fact]
    public async Task A_damaged_copy_stays_whole_for_those_who_run_from_it_until_the_last_one_has_ended()
    {
        var cache = NewCache();
        var root = await cache.EnsureAsync(Sha256, default);
        using var old = DirectoryCalls.Open(root);
        var use = cache.Use(Sha256);
        await File.WriteAllTextAsync(Path.Combine(root, "extra"), "");

        Assert.Equal(root, await cache.EnsureAsync(Sha256, default));
        using var later = cache.Use(Sha256);
        Assert.False(File.Exists(Path.Combine(root, "extra")));
        Assert.Contains("binary", Names(old));
        use.Dispose();
        Assert.Empty(Names(old));
        Assert.Equal([Sha256], Directory.GetFileSystemEntries(_home).Select(Path.GetFileName));
    }

    [Fact]
    public async Task What_was_moved_aside_is_gone_after_a_start_that_finds_no_container_of_it()
    {
        var cache = NewCache();
        var root = await cache.EnsureAsync(Sha256, default);
        using var use = cache.Use(Sha256);
        await File.WriteAllTextAsync(Path.Combine(root, "extra"), "");
        await cache.EnsureAsync(Sha256, default);
        Assert.Equal(2, Directory.GetDirectories(_home).Length);

        NewCache().Prepare([Sha256]);
        Assert.Equal(2, Directory.GetDirectories(_home).Length);
        NewCache().Prepare([null]);
        Assert.Equal(2, Directory.GetDirectories(_home).Length);
        NewCache().Prepare([]);
        Assert.Equal([Sha256], Directory.GetFileSystemEntries(_home).Select(Path.GetFileName));
    }

    [Fact]
    public async Task Of_two_who_want_an_image_the_second_gets_it_when_the_first_gives_up()
    {
        _images.Gate = new TaskCompletionSource();
        var cache = NewCache();
        using var impatience = new CancellationTokenSource();
        var first = cache.EnsureAsync(Sha256, impatience.Token);
        var second = cache.EnsureAsync(Sha256, default);
        await impatience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        _images.Gate.SetResult();

        Assert.Equal("program", await File.ReadAllTextAsync(Path.Combine(await second, "binary")));
    }

    [Fact]
    public async Task Those_who_wait_for_an_image_share_one_look_at_it()
    {
        _images.Gate = new TaskCompletionSource();
        var cache = NewCache();
        var waiting = Enumerable.Range(0, 20).Select(_ => cache.EnsureAsync(Sha256, default)).ToList();
        _images.Gate.SetResult();
        await Task.WhenAll(waiting);
        Assert.Equal((1, 1), (_images.Opened, cache.Looks));

        await cache.EnsureAsync(Sha256, default);
        Assert.Equal(2, cache.Looks);
    }

    [Fact]
    public async Task An_image_that_cannot_be_unpacked_is_not_unpacked_again_for_a_while()
    {
        var bad = Tars.Of(Tars.File("../outside"));
        var sha256 = ProbeProgram.Hash(bad);
        _images.Blobs[sha256] = bad;
        var cache = NewCache();
        var errors = new List<string>();
        for (var i = 0; i < 3; i++)
            errors.Add((await Assert.ThrowsAsync<BadImageException>(() => cache.EnsureAsync(sha256, default))).Message);
        Assert.Contains("leads out of the root", Assert.Single(errors.Distinct()));
        Assert.Equal(1, _images.Opened);

        _time.Advance(TimeSpan.FromMinutes(2));
        await Assert.ThrowsAsync<BadImageException>(() => cache.EnsureAsync(sha256, default));
        Assert.Equal(2, _images.Opened);
    }

    [Fact]
    public void A_daemon_that_is_out_of_files_or_memory_has_no_damaged_images()
    {
        Assert.All((int[])[12, 23, 24], error => Assert.False(ImageCache.IsDamage(new IOException("words", error))));
        Assert.True(ImageCache.IsDamage(new IOException("words", 5)));
        Assert.True(ImageCache.IsDamage(new FileNotFoundException()));
    }

    private static IEnumerable<string?> Names(SafeFileHandle directory) =>
        Directory.GetFileSystemEntries($"/proc/self/fd/{directory.DangerousGetHandle()}").Select(Path.GetFileName);

    private sealed class Calendar : TimeProvider
    {
        private DateTimeOffset _now = System.GetUtcNow();

        public void Advance(TimeSpan time) => _now += time;

        public override DateTimeOffset GetUtcNow() => _now;
    }

    private ImageCache NewCache() =>
        new(_home, _images, new ImageLimits(1_000_000, 100), _time, NullLogger.Instance);

    public void Dispose() => Directory.Delete(_home, recursive: true);
}
