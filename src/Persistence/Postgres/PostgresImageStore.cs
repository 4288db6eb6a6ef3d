using Npgsql;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Persistence.Images;
using Runtara.Persistence.Projection;

namespace Runtara.Persistence.Postgres;

/// <summary>
/// Image bytes as rows of 1 MiB. An upload is one transaction, so that one that breaks off leaves nothing, even when
/// the daemon dies.
/// </summary>
internal sealed class PostgresImageStore(PostgresDatabase database, Database calls, StoreOptions options)
    : ImageStore(calls)
{
    private const int ChunkBytes = 1024 * 1024;

    public override async ValueTask<IImageUpload> BeginUploadAsync(CancellationToken cancellation)
    {
        var connection = await database.OpenUploadAsync(cancellation);
        try
        {
            return new Upload(
                database, connection, await connection.BeginTransactionAsync(cancellation), options.Time);
        }
        catch
        {
            await database.CloseUploadAsync(connection);
            throw;
        }
    }

    public override async ValueTask<Stream> OpenBlobAsync(string sha256, CancellationToken cancellation)
    {
        var upload = await Calls.RetryAsync(
            async token =>
            {
                await using var connection = await database.Source.OpenConnectionAsync(token);
                return (string?)await ScalarAsync(
                    connection, "SELECT upload_id FROM image_blob WHERE sha256 = $1", token, Text(sha256));
            },
            cancellation);
        if (upload is null)
            throw new FileNotFoundException($"There is no image with the SHA-256 {sha256}");
        return new ChunkStream((n, token) => ReadChunkAsync(upload, n, token));
    }

    private ValueTask<byte[]?> ReadChunkAsync(string upload, int n, CancellationToken cancellation) =>
        Calls.RetryAsync(
            async token =>
            {
                await using var connection = await database.Source.OpenConnectionAsync(token);
                return (byte[]?)await ScalarAsync(
                    connection, "SELECT bytes FROM image_chunk WHERE upload_id = $1 AND n = $2", token, Text(upload),
                    Int(n));
            },
            cancellation);

    protected override async ValueTask<ImageDeletion> DeleteOnceAsync(
        ImageId id, TenantId tenant, CancellationToken cancellation)
    {
        await using var connection = await database.Source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        // Uploads of the same bytes wait here, and so cannot adopt a blob that is about to go. The blob first and then
        // the image, because a registration takes them in this order.
        await ScalarAsync(
            connection,
            "SELECT 1 FROM image_blob WHERE sha256 = (SELECT sha256 FROM image WHERE image_id = $1) FOR UPDATE",
            cancellation, Text(id.Value));
        var sha256 = (string?)await ScalarAsync(
            connection, "SELECT sha256 FROM image WHERE image_id = $1 AND tenant_id = $2 FOR UPDATE", cancellation,
            Text(id.Value), Text(tenant.Value));
        if (sha256 is null)
            return new ImageDeletion(false, 0);
        var uses = (long)(await ScalarAsync(
            connection, "SELECT count(*) FROM instance WHERE image_id = $1 AND status IN (1, 2, 3)", cancellation,
            Text(id.Value)))!;
        if (uses > 0)
            return new ImageDeletion(true, (int)uses);
        await ScalarAsync(connection, "DELETE FROM image WHERE image_id = $1", cancellation, Text(id.Value));
        await ScalarAsync(
            connection,
            """
            WITH gone AS (
              DELETE FROM image_blob b WHERE b.sha256 = $1 AND NOT EXISTS (SELECT FROM image WHERE sha256 = $1)
              RETURNING upload_id)
            DELETE FROM image_chunk WHERE upload_id IN (SELECT upload_id FROM gone)
            """,
            cancellation, Text(sha256));
        await transaction.CommitAsync(cancellation);
        return new ImageDeletion(true, 0);
    }

    private static async ValueTask<object?> ScalarAsync(
        NpgsqlConnection connection, string sql, CancellationToken cancellation, params NpgsqlParameter[] parameters)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        command.Parameters.AddRange(parameters);
        return await command.ExecuteScalarAsync(cancellation);
    }

    private static NpgsqlParameter<string> Text(string? value) =>
        new() { TypedValue = value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text };

    private static NpgsqlParameter<int> Int(int value) => new() { TypedValue = value };

    private static NpgsqlParameter<long> Long(long value) => new() { TypedValue = value };

    private static NpgsqlParameter<byte[]> Bytes(byte[]? value) =>
        new() { TypedValue = value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Bytea };

    private sealed class Upload(
        PostgresDatabase database, NpgsqlConnection connection, NpgsqlTransaction transaction, TimeProvider time)
        : IImageUpload
    {
        private readonly string _id = Guid.NewGuid().ToString();
        private readonly Digest _digest = new();
        private readonly byte[] _chunk = new byte[ChunkBytes];
        private int _filled;
        private int _chunks;
        private int _disposed;

        public long SizeBytes => _digest.SizeBytes;

        public string Sha256 => _digest.Sha256;

        public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
        {
            _digest.Add(bytes.Span);
            while (bytes.Length > 0)
            {
                var some = bytes[..Math.Min(bytes.Length, ChunkBytes - _filled)];
                some.CopyTo(_chunk.AsMemory(_filled));
                _filled += some.Length;
                bytes = bytes[some.Length..];
                if (_filled == ChunkBytes)
                    await FlushAsync(cancellation);
            }
        }

        public async ValueTask<Image> CommitAsync(ImageRegistration registration, CancellationToken cancellation)
        {
            await FlushAsync(cancellation);
            var image = NewImage(registration, this, time.GetUtcNow());
            await AdoptBlobAsync(cancellation);
            // Two registrations of one name take turns.
            await ScalarAsync(
                connection, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", cancellation,
                Text($"image {image.Tenant} {image.Name}"));
            await ScalarAsync(
                connection, "UPDATE image SET is_current = false WHERE tenant_id = $1 AND name = $2 AND is_current",
                cancellation, Text(image.Tenant.Value), Text(image.Name));
            await ScalarAsync(
                connection,
                """
                INSERT INTO image (image_id, tenant_id, name, description, runner_type, metadata, sha256, size,
                  created_at, is_current, has_agents)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, true, $10)
                """,
                cancellation,
                Text(image.Id.Value), Text(image.Tenant.Value), Text(image.Name), Text(image.Description),
                Int((int)image.RunnerType), Bytes(image.Metadata), Text(image.Sha256), Long(image.SizeBytes),
                Long(Micros.Of(image.CreatedAt)), new NpgsqlParameter<bool> { TypedValue = registration.HasAgents });
            await transaction.CommitAsync(cancellation);
            return image;
        }

        public async ValueTask DisposeAsync()
        {
            if (Interlocked.Exchange(ref _disposed, 1) != 0)
                return;
            _digest.Dispose();
            try
            {
                await transaction.DisposeAsync();
            }
            finally
            {
                await database.CloseUploadAsync(connection);
            }
        }

        private async ValueTask FlushAsync(CancellationToken cancellation)
        {
            if (_filled == 0)
                return;
            await ScalarAsync(
                connection, "INSERT INTO image_chunk VALUES ($1, $2, $3)", cancellation, Text(_id), Int(_chunks),
                Bytes(_chunk[.._filled]));
            _chunks++;
            _filled = 0;
        }

        // When the bytes are there already, ours are dropped, unless those are damaged: then ours take their place. The
        // row lock keeps a deletion off till the commit.
        private async ValueTask AdoptBlobAsync(CancellationToken cancellation)
        {
            var holder = (string?)await ScalarAsync(
                connection,
                """
                INSERT INTO image_blob VALUES ($1, $2, $3)
                ON CONFLICT (sha256) DO UPDATE SET size = EXCLUDED.size RETURNING upload_id
                """,
                cancellation, Text(Sha256), Text(_id), Long(SizeBytes));
            if (holder is null || holder == _id)
                return;
            var useless = _id;
            if (await DiffersAsync(holder, cancellation))
            {
                await ScalarAsync(
                    connection, "UPDATE image_blob SET upload_id = $2 WHERE sha256 = $1", cancellation, Text(Sha256),
                    Text(_id));
                useless = holder;
            }
            await ScalarAsync(connection, "DELETE FROM image_chunk WHERE upload_id = $1", cancellation, Text(useless));
        }

        private async ValueTask<bool> DiffersAsync(string other, CancellationToken cancellation)
        {
            // Reads both, which may be large, and so may take longer than other statements.
            await using var command = new NpgsqlCommand(
                """
                SELECT EXISTS (
                  SELECT FROM (SELECT n, bytes FROM image_chunk WHERE upload_id = $1) AS mine
                  FULL JOIN (SELECT n, bytes FROM image_chunk WHERE upload_id = $2) AS theirs USING (n)
                  WHERE mine.bytes IS DISTINCT FROM theirs.bytes)
                """,
                connection) { CommandTimeout = 0 };
            command.Parameters.Add(Text(_id));
            command.Parameters.Add(Text(other));
            return (bool)(await command.ExecuteScalarAsync(cancellation))!;
        }
    }
}
