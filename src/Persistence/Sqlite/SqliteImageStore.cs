using Microsoft.Data.Sqlite;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Persistence.Images;
using Runtara.Persistence.Projection;

namespace Runtara.Persistence.Sqlite;

/// <summary>
/// Image bytes as files of the data directory, named by their SHA-256. A file gets its name only when it is whole and
/// on the disk.
/// </summary>
internal sealed class SqliteImageStore(SqliteDatabase database, Database calls, StoreOptions options)
    : ImageStore(calls)
{
    private readonly SqliteDatabase _database = database;

    private string Blobs => BlobDirectory(options);

    public override ValueTask<IImageUpload> BeginUploadAsync(CancellationToken cancellation)
    {
        try
        {
            Directory.CreateDirectory(Blobs);
            Directory.CreateDirectory(UploadDirectory(options));
            return ValueTask.FromResult<IImageUpload>(new Upload(this, options));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw NotStored(e);
        }
    }

    protected override ValueTask<ImageDeletion> DeleteOnceAsync(
        ImageId id, TenantId tenant, CancellationToken cancellation) =>
        ValueTask.FromResult(_database.Write(connection => Delete(connection, id, tenant)));

    public override ValueTask<Stream> OpenBlobAsync(string sha256, CancellationToken cancellation)
    {
        if (sha256.Length != 64 || !sha256.All(char.IsAsciiHexDigitLower))
            throw new FileNotFoundException($"There is no image with the SHA-256 {sha256}");
        try
        {
            return ValueTask.FromResult<Stream>(new FileStream(
                Path.Combine(Blobs, sha256), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1 << 16,
                FileOptions.Asynchronous | FileOptions.SequentialScan));
        }
        catch (DirectoryNotFoundException e)
        {
            throw new FileNotFoundException($"There is no image with the SHA-256 {sha256}", e);
        }
    }

    /// <summary>Removes uploads that broke off and files without a registration, before anyone is at work.</summary>
    public static void CleanUp(SqliteDatabase database, StoreOptions options)
    {
        if (Directory.Exists(UploadDirectory(options)))
            Directory.Delete(UploadDirectory(options), recursive: true);
        if (!Directory.Exists(BlobDirectory(options)))
            return;
        using var connection = database.Connect();
        foreach (var file in Directory.EnumerateFiles(BlobDirectory(options)))
        {
            if (!IsUsed(connection, Path.GetFileName(file)))
                File.Delete(file);
        }
    }

    private static string BlobDirectory(StoreOptions options) => Path.Combine(options.DataDirectory, "images", "blobs");

    private static string UploadDirectory(StoreOptions options) =>
        Path.Combine(options.DataDirectory, "images", "uploads");

    private static bool IsUsed(SqliteConnection connection, string sha256) =>
        SqliteDatabase.Scalar(
            connection, "SELECT EXISTS (SELECT 1 FROM image WHERE sha256 = $sha256)", ("$sha256", sha256)) != 0;

    private ImageDeletion Delete(SqliteConnection connection, ImageId id, TenantId tenant)
    {
        using var find = SqliteDatabase.Command(
            connection, "SELECT sha256 FROM image WHERE image_id = $id AND tenant_id = $tenant",
            ("$id", id.Value), ("$tenant", tenant.Value));
        if (find.ExecuteScalar() is not string sha256)
            return new ImageDeletion(false, 0);
        var uses = SqliteDatabase.Scalar(
            connection, "SELECT count(*) FROM instance WHERE image_id = $id AND status IN (1, 2, 3)",
            ("$id", id.Value));
        if (uses > 0)
            return new ImageDeletion(true, (int)uses);
        SqliteDatabase.Execute(connection, "DELETE FROM image WHERE image_id = $id", ("$id", id.Value));
        // Within the write gate, so that no upload adopts the file in between; and after the commit, so that a crash
        // leaves at most a file without a row, which goes at the next start.
        if (!IsUsed(connection, sha256))
            _database.AfterWrite(() => File.Delete(Path.Combine(Blobs, sha256)));
        return new ImageDeletion(true, 0);
    }

    // What fails here is the disk, and not the stream that the bytes come from.
    private StoreUnavailableException NotStored(Exception e) => new(
        "The image cannot be stored: "
            + (DiskSpace.Describe(e, Blobs) ?? e.Message), e);

    private Image Register(ImageRegistration registration, Upload upload, string temporary)
    {
        var image = NewImage(registration, upload, options.Time.GetUtcNow());
        try
        {
            return Register(registration, image, temporary);
        }
        catch (SqliteException)
        {
            lock (_database.WriteGate)
            {
                using var connection = _database.Connect();
                if (!IsUsed(connection, image.Sha256))
                    File.Delete(Path.Combine(Blobs, image.Sha256));
            }
            throw;
        }
    }

    private Image Register(ImageRegistration registration, Image image, string temporary) =>
        _database.Write(connection =>
        {
            Keep(temporary, image.Sha256);
            SqliteDatabase.Execute(
                connection, "UPDATE image SET is_current = 0 WHERE tenant_id = $tenant AND name = $name AND is_current",
                ("$tenant", image.Tenant.Value), ("$name", image.Name));
            SqliteDatabase.Execute(
                connection,
                """
                INSERT INTO image (image_id, tenant_id, name, description, runner_type, metadata, sha256, size,
                  created_at, is_current, has_agents)
                VALUES ($id, $tenant, $name, $about, $runner, $metadata, $sha256, $size, $at, 1, $agents)
                """,
                ("$id", image.Id.Value), ("$tenant", image.Tenant.Value), ("$name", image.Name),
                ("$about", image.Description), ("$runner", (int)image.RunnerType), ("$metadata", image.Metadata),
                ("$sha256", image.Sha256), ("$size", image.SizeBytes), ("$at", Micros.Of(image.CreatedAt)),
                ("$agents", registration.HasAgents));
            return image;
        });

    private void Keep(string temporary, string sha256)
    {
        try
        {
            File.Move(temporary, Path.Combine(Blobs, sha256), overwrite: true);
            DirectorySync.Flush(Blobs);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw NotStored(e);
        }
    }

    private sealed class Upload : IImageUpload
    {
        private readonly SqliteImageStore _store;
        private readonly Digest _digest = new();
        private readonly string _path;
        private readonly FileStream _file;

        public Upload(SqliteImageStore store, StoreOptions options)
        {
            _store = store;
            _path = Path.Combine(UploadDirectory(options), Guid.NewGuid().ToString("N"));
            _file = new FileStream(_path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16, true);
        }

        public long SizeBytes => _digest.SizeBytes;

        public string Sha256 => _digest.Sha256;

        public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
        {
            _digest.Add(bytes.Span);
            return StoreAsync(async () => await _file.WriteAsync(bytes, cancellation));
        }

        public async ValueTask<Image> CommitAsync(ImageRegistration registration, CancellationToken cancellation)
        {
            await StoreAsync(async () =>
            {
                await _file.FlushAsync(cancellation);
                _file.Flush(flushToDisk: true);
                await _file.DisposeAsync();
            });
            return _store.Register(registration, this, _path);
        }

        public async ValueTask DisposeAsync()
        {
            _digest.Dispose();
            try
            {
                await _file.DisposeAsync();
            }
            catch (IOException)
            {
                // What is still in its buffer has no room on the disk either.
            }
            try
            {
                File.Delete(_path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // What cannot be removed now goes at the next start.
            }
        }

        private async ValueTask StoreAsync(Func<Task> work)
        {
            try
            {
                await work();
            }
            catch (IOException e)
            {
                throw _store.NotStored(e);
            }
        }
    }
}
