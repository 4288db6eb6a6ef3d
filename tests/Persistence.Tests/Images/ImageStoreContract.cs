using System.Collections.Immutable;
using System.Security.Cryptography;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Postgres;

namespace Runtara.Persistence.Tests.Images;

/// <summary>What the image store must do on both databases.</summary>
public abstract class ImageStoreContract(StoreFixture fixture)
{
    private readonly TenantId _tenant = new($"tenant-{Guid.NewGuid():N}");

    protected StoreFixture Fixture { get; } = fixture;

    private IImageStore Images => Fixture.Store.Images;

    [Fact]
    public async Task An_image_comes_back_byte_for_byte()
    {
        var bytes = RandomNumberGenerator.GetBytes(3_500_000);
        var image = await UploadAsync("name", bytes);
        Assert.Equal(bytes.LongLength, image.SizeBytes);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes)), image.Sha256);
        Assert.Equal(bytes, await ReadAsync(image.Sha256));
        var found = await Images.FindAsync(image.Id, default);
        Assert.Equal(image with { Metadata = null }, found! with { Metadata = null });
        Assert.Equal(image.Metadata, found.Metadata);
    }

    [Fact]
    public async Task An_empty_image_is_an_image()
    {
        var image = await UploadAsync("empty", []);
        Assert.Empty(await ReadAsync(image.Sha256));
    }

    [Fact]
    public async Task A_name_means_its_newest_registration_and_older_ones_are_still_found()
    {
        var old = await UploadAsync("name", [1]);
        var other = await UploadAsync("other", [2]);
        var current = await UploadAsync("name", [3]);
        var (images, count) = await Images.ListAsync(_tenant, 10, 0, default);
        Assert.Equal(2, count);
        Assert.Equal([current.Id, other.Id], images.Select(i => i.Id));
        Assert.NotNull(await Images.FindAsync(old.Id, default));
        Assert.Equal([1], await ReadAsync(old.Sha256));
    }

    [Fact]
    public async Task Lists_are_paged_and_counted_and_keep_to_their_tenant()
    {
        var ids = new List<ImageId>();
        for (var i = 0; i < 5; i++)
            ids.Add((await UploadAsync($"name{i}", [1])).Id);
        var (images, count) = await Images.ListAsync(_tenant, 2, 1, default);
        Assert.Equal(5, count);
        Assert.Equal([ids[3], ids[2]], images.Select(i => i.Id));
        Assert.Equal(0, (await Images.ListAsync(new TenantId("nobody"), 10, 0, default)).TotalCount);
        Assert.True((await Images.ListAsync(null, 10, 0, default)).TotalCount >= 5);
    }

    [Fact]
    public async Task An_upload_that_is_not_committed_leaves_nothing()
    {
        await using (var upload = await Images.BeginUploadAsync(default))
        {
            await upload.WriteAsync(RandomNumberGenerator.GetBytes(2_000_000), default);
            Assert.Equal(2_000_000, upload.SizeBytes);
            Assert.Equal(64, upload.Sha256.Length);
        }
        Assert.Equal(0, (await Images.ListAsync(_tenant, 10, 0, default)).TotalCount);
        await AssertNoOrphansAsync();
    }

    [Fact]
    public async Task The_same_bytes_are_kept_once_and_until_their_last_image_goes()
    {
        var bytes = RandomNumberGenerator.GetBytes(1_200_000);
        var one = await UploadAsync("one", bytes);
        var two = await UploadAsync("two", bytes);
        Assert.Equal(one.Sha256, two.Sha256);
        Assert.True((await Images.DeleteAsync(one.Id, _tenant, default)).Deleted);
        Assert.Equal(bytes, await ReadAsync(two.Sha256));
        Assert.True((await Images.DeleteAsync(two.Id, _tenant, default)).Deleted);
        await Assert.ThrowsAsync<FileNotFoundException>(() => ReadAsync(two.Sha256));
        Assert.Null(await Images.FindAsync(two.Id, default));
        await AssertNoOrphansAsync();
    }

    [Fact]
    public async Task Uploads_of_one_name_and_the_same_bytes_may_race()
    {
        var uploads = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => UploadAsync("race", [1, 2, 3])));
        Assert.Single((await Images.ListAsync(_tenant, 10, 0, default)).Images);
        foreach (var image in uploads)
            Assert.True((await Images.DeleteAsync(image.Id, _tenant, default)).Deleted);
        await AssertNoOrphansAsync();
    }

    [Fact]
    public async Task A_deletion_may_meet_a_registration_of_the_same_bytes_under_the_same_name()
    {
        for (var round = 0; round < 100; round++)
        {
            var image = await UploadAsync("meeting", [1, 2, 3]);
            var deletion = Task.Run(() => Images.DeleteAsync(image.Id, _tenant, default).AsTask());
            var next = await Task.Run(() => UploadAsync("meeting", [1, 2, 3]));
            Assert.True((await deletion).Deleted);
            Assert.Equal([1, 2, 3], await ReadAsync(next.Sha256));
            Assert.True((await Images.DeleteAsync(next.Id, _tenant, default)).Deleted);
        }
        await AssertNoOrphansAsync();
        Assert.Empty(Fixture.Log.LinesOf("cannot be used now"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Bytes_that_were_damaged_are_whole_again_when_they_are_registered_again(bool cut)
    {
        var bytes = RandomNumberGenerator.GetBytes(2_500_000);
        var image = await UploadAsync("damaged", bytes);
        await DamageAsync(image, cut);
        await UploadAsync("again", bytes);
        Assert.Equal(bytes, await ReadAsync(image.Sha256));
        await AssertNoOrphansAsync();
    }

    [Fact]
    public async Task An_image_in_use_is_not_deleted()
    {
        var image = await UploadAsync("used", [9]);
        await Fixture.ExecuteAsync(
            "INSERT INTO instance (instance_id, tenant_id, status, shard, max_retries, image_id, created_at) "
            + $"VALUES ('{image.Id}-a', 't', 3, 0, 3, '{image.Id}', 0), "
            + $"('{image.Id}-b', 't', 4, 0, 3, '{image.Id}', 0)");
        Assert.Equal(new ImageDeletion(true, 1), await Images.DeleteAsync(image.Id, _tenant, default));
        Assert.Equal([9], await ReadAsync(image.Sha256));
        await Fixture.ExecuteAsync($"UPDATE instance SET status = 6 WHERE image_id = '{image.Id}'");
        Assert.True((await Images.DeleteAsync(image.Id, _tenant, default)).Deleted);
    }

    [Fact]
    public async Task An_image_of_another_tenant_is_not_there_to_delete()
    {
        var image = await UploadAsync("mine", [7]);
        Assert.False((await Images.DeleteAsync(image.Id, new TenantId("other"), default)).Found);
        Assert.False((await Images.DeleteAsync(new ImageId("nothing"), _tenant, default)).Found);
    }

    [Theory]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("../../store.db")]
    [InlineData("")]
    public async Task Bytes_that_are_not_there_are_not_found(string sha256) =>
        await Assert.ThrowsAsync<FileNotFoundException>(() => ReadAsync(sha256));

    protected abstract Task AssertNoOrphansAsync();

    /// <summary>Takes the end of the bytes away, or puts others in their place.</summary>
    protected abstract Task DamageAsync(Image image, bool cut);

    protected async Task<Image> UploadAsync(string name, byte[] bytes)
    {
        await using var upload = await Images.BeginUploadAsync(default);
        foreach (var piece in bytes.Chunk(700_000))
            await upload.WriteAsync(piece, default);
        return await upload.CommitAsync(
            new ImageRegistration(_tenant, name, "about", RunnerType.Oci, "{}"u8.ToArray()), default);
    }

    private async Task<byte[]> ReadAsync(string sha256)
    {
        await using var stream = await Images.OpenBlobAsync(sha256, default);
        using var memory = new MemoryStream();
        await stream.CopyToAsync(memory);
        return memory.ToArray();
    }
}

public sealed class SqliteImageStoreTests(SqliteFixture fixture)
    : ImageStoreContract(fixture), IClassFixture<SqliteFixture>
{
    private string Images => Path.Combine(Fixture.DataDirectory, "images");

    [Fact]
    public async Task What_a_crash_left_is_removed_at_the_next_start()
    {
        var kept = await UploadAsync("kept", [1, 2]);
        var broken = Path.Combine(Images, "uploads", "broken");
        var orphan = Path.Combine(Images, "blobs", new string('a', 64));
        await File.WriteAllTextAsync(broken, "half");
        await File.WriteAllTextAsync(orphan, "named, but never registered");
        await (await Store.OpenAsync(Fixture.Options, default)).DisposeAsync();
        Assert.False(File.Exists(broken));
        Assert.False(File.Exists(orphan));
        Assert.True(File.Exists(Path.Combine(Images, "blobs", kept.Sha256)));
    }

    protected override async Task DamageAsync(Image image, bool cut)
    {
        await using var file = File.OpenWrite(Path.Combine(Images, "blobs", image.Sha256));
        if (cut)
            file.SetLength(image.SizeBytes / 2);
        else
            file.Write([1, 2, 3]);
    }

    protected override async Task AssertNoOrphansAsync()
    {
        Assert.Empty(Directory.GetFiles(Path.Combine(Images, "uploads")));
        foreach (var file in Directory.GetFiles(Path.Combine(Images, "blobs")))
        {
            Assert.NotEqual(0L, await Fixture.ExecuteAsync(
                $"SELECT count(*) FROM image WHERE sha256 = '{Path.GetFileName(file)}'"));
        }
    }
}

[Collection(PostgresCollection.Name)]
public sealed class PostgresImageStoreTests(PostgresFixture fixture)
    : ImageStoreContract(fixture), IClassFixture<PostgresFixture>
{
    protected override async Task AssertNoOrphansAsync()
    {
        Assert.Equal(0L, await Fixture.ExecuteAsync(
            "SELECT count(*) FROM image_chunk WHERE upload_id NOT IN (SELECT upload_id FROM image_blob)"));
        Assert.Equal(0L, await Fixture.ExecuteAsync(
            "SELECT count(*) FROM image_blob WHERE sha256 NOT IN (SELECT sha256 FROM image)"));
    }

    protected override async Task DamageAsync(Image image, bool cut) => await Fixture.ExecuteAsync(
        (cut
            ? "DELETE FROM image_chunk"
            : "UPDATE image_chunk SET bytes = set_byte(bytes, 0, 255 - get_byte(bytes, 0))")
        + $" WHERE n = 1 AND upload_id = (SELECT upload_id FROM image_blob WHERE sha256 = '{image.Sha256}')");

    [Fact]
    public async Task A_start_that_meets_the_deletion_of_its_image_comes_after_it()
    {
        var image = await UploadAsync("deleted", [4]);
        await using var other = await Source.OpenConnectionAsync();
        await using var transaction = await other.BeginTransactionAsync();
        await ExecuteAsync(other, $"SELECT FROM image WHERE image_id = '{image.Id}' FOR UPDATE");
        await using var lane = new PostgresLane(Source);
        var start = lane.CommitAsync([StartOf(image)], default).AsTask();
        await WaitForALockAsync();
        Assert.False(start.IsCompleted);
        await ExecuteAsync(
            other, $"DELETE FROM image WHERE image_id = '{image.Id}'; DELETE FROM image_chunk WHERE upload_id = "
            + $"(SELECT upload_id FROM image_blob WHERE sha256 = '{image.Sha256}'); "
            + $"DELETE FROM image_blob WHERE sha256 = '{image.Sha256}'");
        await transaction.CommitAsync();
        await start;
        Assert.Equal(1L, await CountInstancesAsync(image));
        Assert.Null(await Fixture.Store.Images.FindAsync(image.Id, default));
    }

    [Fact]
    public async Task A_deletion_that_meets_a_start_of_its_image_waits_and_counts_it()
    {
        var image = await UploadAsync("started", [5]);
        await using var other = await Source.OpenConnectionAsync();
        await using var transaction = await other.BeginTransactionAsync();
        await ExecuteAsync(other, PostgresSql.LockImages, image.Id.Value);
        await ExecuteAsync(
            other, "INSERT INTO instance (instance_id, tenant_id, status, shard, max_retries, image_id, created_at) "
            + $"VALUES ('{image.Id}-a', 't', 1, 0, 3, '{image.Id}', 0)");
        var deletion = Fixture.Store.Images.DeleteAsync(image.Id, image.Tenant, default).AsTask();
        await WaitForALockAsync();
        Assert.False(deletion.IsCompleted);
        await transaction.CommitAsync();
        Assert.Equal(new ImageDeletion(true, 1), await deletion);
    }

    private Npgsql.NpgsqlDataSource Source => ((PostgresDatabase)Fixture.Store.Database).Source;

    private Task<object?> CountInstancesAsync(Image image) =>
        Fixture.ExecuteAsync($"SELECT count(*) FROM instance WHERE image_id = '{image.Id}'");

    private static AtomicUnit StartOf(Image image)
    {
        var id = $"{image.Id}-start";
        var started = new InstanceEvent.Started(
            new InstanceId(id), image.Tenant, image.Id, image.Name, image.Sha256, "sha", TimeSpan.FromSeconds(1),
            ImmutableSortedDictionary<string, string>.Empty, 3, DateTimeOffset.UnixEpoch);
        return new AtomicUnit(null!, id, [new JournalRow(id, 1, 0, 1, "m", "w", [1], started)], null);
    }

    // Another session shows when the statement has got to where it must wait.
    private async Task WaitForALockAsync()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (await Fixture.ExecuteAsync("SELECT count(*) FROM pg_locks WHERE NOT granted") is 0L)
            await timer.WaitForNextTickAsync(deadline.Token);
    }

    private static async Task ExecuteAsync(Npgsql.NpgsqlConnection connection, string sql, string? image = null)
    {
        await using var command = new Npgsql.NpgsqlCommand(sql, connection);
        if (image is not null)
            command.Parameters.Add(new Npgsql.NpgsqlParameter<string[]> { TypedValue = [image] });
        await command.ExecuteNonQueryAsync();
    }
}
