using System.Net.Sockets;
using LinqToDB;
using LinqToDB.Data;
using LinqToDB.DataProvider.PostgreSQL;
using Npgsql;
using Runtara.Actors.Images;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Projection;
using Runtara.Persistence.Queries;
using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence.Postgres;

/// <summary>PostgreSQL 13 or later, shared by all nodes of a cluster.</summary>
internal sealed class PostgresDatabase : Database
{
    private const string PoolSize = "Maximum Pool Size";

    // A server has 100 by default, for all its clients; more than a few for each of its cores make nothing faster. A
    // quarter is for lookups of single rows: no search holds those up, and few connections know their statements soon.
    private const int QueryConnections = 30;

    // The lanes, the readers of recoveries and the writer of snapshots, with room for those that are being replaced.
    private const int JournalConnections = 8;

    private readonly DataOptions _catalogOptions;
    private readonly DataOptions _lookupOptions;
    private readonly NpgsqlDataSource _journal;
    private readonly NpgsqlDataSource _lookups;
    private readonly NpgsqlDataSource _uploads;
    private readonly SemaphoreSlim _uploadPlaces;
    private readonly NpgsqlConnectionStringBuilder _given;

    public PostgresDatabase(NpgsqlConnectionStringBuilder connection, StoreOptions options) : base(options)
    {
        _given = new NpgsqlConnectionStringBuilder(connection.ConnectionString);
        // Every hot statement is prepared by the driver at its second use and stays prepared on its connection.
        connection.MaxAutoPrepare = Math.Max(connection.MaxAutoPrepare, 64);
        connection.AutoPrepareMinUsages = 2;
        connection.NoResetOnClose = true;
        connection.ApplicationName ??= "runtara";
        if (!connection.ShouldSerialize(PoolSize))
            connection.MaxPoolSize = Math.Max(QueryConnections, connection.MinPoolSize);
        var quarter = Math.Max(1, connection.MaxPoolSize / 4);
        _lookups = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connection.ConnectionString)
        {
            MinPoolSize = 0, MaxPoolSize = quarter,
        });
        Source = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connection.ConnectionString)
        {
            MaxPoolSize = Math.Max(connection.MaxPoolSize - quarter, Math.Max(connection.MinPoolSize, 1)),
        });
        // Of its own, so that queries that hold every connection do not hold up what must be stored.
        _journal = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connection.ConnectionString)
        {
            MinPoolSize = 0, MaxPoolSize = JournalConnections,
        });
        // Of their own too: an upload holds its connection for as long as its client takes to send the bytes.
        UploadsMax = quarter;
        _uploads = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connection.ConnectionString)
        {
            MinPoolSize = 0, MaxPoolSize = UploadsMax,
        });
        _uploadPlaces = new SemaphoreSlim(UploadsMax);
        var provider = PostgreSQLTools.GetDataProvider(PostgreSQLVersion.v15);
        _catalogOptions = new DataOptions().UseConnectionFactory(provider, _ => Source.CreateConnection());
        _lookupOptions = new DataOptions().UseConnectionFactory(provider, _ => _lookups.CreateConnection());
    }

    /// <summary>For lists, images and everything else that is neither the journal nor a lookup.</summary>
    public NpgsqlDataSource Source { get; }

    /// <summary>How many uploads are stored at once.</summary>
    public int UploadsMax { get; }

    public override int SmallLanes => 2;

    public override bool Blocks => false;

    public override bool IsOutage(Exception cause) => cause switch
    {
        PostgresException { SqlState: "40001" or "40P01" or "55P03" } => true,
        // 08 connection, 25 read-only (a demoted primary), 53 resources, 57 shutdown or cancel, 58 system.
        PostgresException e => e.SqlState[..2] is "08" or "25" or "53" or "57" or "58",
        NpgsqlException or IOException or SocketException or TimeoutException => true,
        _ => false,
    };

    public override bool IsLackOfRoom(Exception cause) =>
        cause is PostgresException { SqlState: PostgresErrorCodes.DiskFull };

    public override string? Describe(Exception cause) => IsLackOfRoom(cause)
        ? $"the disk of the PostgreSQL server is full ({cause.Message.TrimEnd('.')}); make room there"
        : base.Describe(cause);

    public override IJournalLane OpenLane() => new PostgresLane(_journal);

    public override IReplaySource OpenReplaySource() => new PostgresReplaySource(_journal);

    public override void DropIdleConnections()
    {
        _lookups.Clear();
        Source.Clear();
    }

    public override DataConnection OpenCatalog() => new(_catalogOptions);

    public override DataConnection OpenLookups() => new(_lookupOptions);

    public override IImageStore CreateImageStore(Database calls) => new PostgresImageStore(this, calls, Options);

    /// <summary>
    /// A connection for an upload; waits while as many as may are under way. Goes back by
    /// <see cref="CloseUploadAsync"/>.
    /// </summary>
    public async ValueTask<NpgsqlConnection> OpenUploadAsync(CancellationToken cancellation)
    {
        await _uploadPlaces.WaitAsync(cancellation);
        try
        {
            return await RetryAsync(_uploads.OpenConnectionAsync, cancellation);
        }
        catch
        {
            _uploadPlaces.Release();
            throw;
        }
    }

    public async ValueTask CloseUploadAsync(NpgsqlConnection connection)
    {
        try
        {
            await connection.DisposeAsync();
        }
        finally
        {
            _uploadPlaces.Release();
        }
    }

    public override async ValueTask<IOwnership> OwnAsync(CancellationToken cancellation) =>
        await PostgresOwnership.TakeAsync(_given, Options, cancellation);

    public override async Task MigrateAsync(CancellationToken cancellation)
    {
        await using var connection = await Source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await ExecuteAsync(connection, $"SELECT pg_advisory_xact_lock({PostgresSchema.MigrationLock})", cancellation);
        await ExecuteAsync(connection, PostgresSchema.Versions, cancellation);
        await using var query = Unhurried("SELECT COALESCE(max(version), 0) FROM schema_version", connection);
        var version = (int)(await query.ExecuteScalarAsync(cancellation))!;
        RefuseNewer(version, PostgresSchema.Migrations.Count);
        if (version == PostgresSchema.Migrations.Count)
            return;
        Logs.MigrationBegins(Options.Logger, version, PostgresSchema.Migrations.Count);
        for (var next = version; next < PostgresSchema.Migrations.Count; next++)
        {
            await ExecuteAsync(connection, PostgresSchema.Migrations[next], cancellation);
            if (next == 0)
                await ExecuteAsync(connection, PostgresSchema.Compression, cancellation);
            await using var mark = Unhurried("INSERT INTO schema_version VALUES ($1, $2)", connection);
            mark.Parameters.Add(new NpgsqlParameter<int> { TypedValue = next + 1 });
            mark.Parameters.Add(new NpgsqlParameter<long> { TypedValue = Micros.Of(Options.Time.GetUtcNow()) });
            await mark.ExecuteNonQueryAsync(cancellation);
        }
        await transaction.CommitAsync(cancellation);
        Logs.MigrationEnds(Options.Logger, PostgresSchema.Migrations.Count);
    }

    // An upload is one transaction: the server itself forgets those that broke off.
    public override Task CleanUpAsync(CancellationToken cancellation) => Task.CompletedTask;

    public override async ValueTask DeleteToAsync(
        string persistenceId, long toSequenceNr, CancellationToken cancellation)
    {
        await using var connection = await Source.OpenConnectionAsync(cancellation);
        await using var batch = new NpgsqlBatch(connection);
        foreach (var sql in (string[])[PostgresSql.RememberDeleted, PostgresSql.DeleteRows])
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand(sql)
            {
                Parameters =
                {
                    new NpgsqlParameter<string> { TypedValue = persistenceId },
                    new NpgsqlParameter<long> { TypedValue = toSequenceNr },
                },
            });
        }
        await batch.ExecuteNonQueryAsync(cancellation);
    }

    public override ValueTask SaveSnapshotAsync(SnapshotRow row, CancellationToken cancellation) =>
        PostgresSnapshots.SaveAsync(_journal, row, cancellation);

    public override ValueTask DeleteSnapshotAsync(SnapshotDeletion deletion, CancellationToken cancellation) =>
        PostgresSnapshots.DeleteAsync(Source, deletion, cancellation);

    public override ValueTask<int> RemoveAsync(Removal removal, CancellationToken cancellation) =>
        PostgresRetention.RemoveAsync(Source, removal, cancellation);

    public override async ValueTask ReadCheckpointsAsync(
        IReadOnlyList<CheckpointRead> reads, CancellationToken cancellation)
    {
        await using var connection = await _lookups.OpenConnectionAsync(cancellation);
        await using var command = new NpgsqlCommand(PostgresSql.ReadCheckpoints, connection)
        {
            Parameters =
            {
                new NpgsqlParameter<string[]> { TypedValue = reads.Select(r => r.InstanceId).ToArray() },
                new NpgsqlParameter<string[]> { TypedValue = reads.Select(r => r.Key).ToArray() },
            },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            reads[(int)reader.GetInt64(0) - 1].Found(await reader.GetFieldValueAsync<byte[]>(1, cancellation));
    }

    public override async ValueTask DisposeAsync()
    {
        await _journal.DisposeAsync();
        await _uploads.DisposeAsync();
        await _lookups.DisposeAsync();
        await Source.DisposeAsync();
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation)
    {
        await using var command = Unhurried(sql, connection);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    // An index of a large table takes as long as it takes, and so does another node that makes it.
    private static NpgsqlCommand Unhurried(string sql, NpgsqlConnection connection) =>
        new(sql, connection) { CommandTimeout = 0 };
}
