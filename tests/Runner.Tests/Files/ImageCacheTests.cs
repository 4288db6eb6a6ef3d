using Microsoft.Extensions.Logging.Abstractions;
using Runtara.Runner.Files;

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
        NewCache().Prepare();
        Assert.Equal([other], Directory.GetFileSystemEntries(_home));
    }

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
