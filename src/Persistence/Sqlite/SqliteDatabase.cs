using LinqToDB;
using LinqToDB.Data;
using LinqToDB.DataProvider.SQLite;
using Microsoft.Data.Sqlite;
using Runtara.Actors.Images;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Projection;
using Runtara.Persistence.Queries;
using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence.Sqlite;

/// <summary>One SQLite file, for a daemon that is alone. Write-ahead log, every commit on the disk.</summary>
internal sealed class SqliteDatabase : Database
{
    private const int Busy = 5, Locked = 6, ReadOnly = 8, InputOutput = 10, Full = 13, CannotOpen = 14;

    // Our own writers take turns, so only another process makes us wait; the caller waits on when this is over.
    private const int BusySecondsMax = 5;

    private readonly string _path;
    private readonly DataOptions _catalogOptions;
    private Action? _afterWrite;

    public SqliteDatabase(string path, StoreOptions options) : base(options)
    {
        _path = path;
        ConnectionString = new SqliteConnectionStringBuilder
        {
            DataSource = path,
            DefaultTimeout = Math.Clamp((int)options.ReconnectTimeout.TotalSeconds, 1, BusySecondsMax),
        }.ToString();
        var provider = SQLiteTools.GetDataProvider(SQLiteProvider.Microsoft);
        _catalogOptions = new DataOptions().UseConnectionFactory(provider, _ => new SqliteConnection(ConnectionString));
    }

    /// <summary>SQLite has one writer; ours take turns here instead of polling the file lock.</summary>
    public Lock WriteGate { get; } = new();

    public override int SmallLanes => 1;

    public override bool Blocks => true;

    private string ConnectionString { get; }

    public override bool IsOutage(Exception cause) =>
        cause is SqliteException { SqliteErrorCode: Busy or Locked or InputOutput or Full or CannotOpen };

    public override string? Describe(Exception cause)
    {
        var text = cause.Message.TrimEnd('.');
        return cause switch
        {
            SqliteException { SqliteErrorCode: Busy or Locked } =>
                $"another process holds it ({text}); fuser '{_path}' names it, and it must let go",
            SqliteException { SqliteErrorCode: ReadOnly } => $"it cannot be written ({text})",
            _ => DiskSpace.Describe(cause, _path) ?? text,
        };
    }

    public override IJournalLane OpenLane() => new SqliteLane(WriteGate, Connect);

    public override IReplaySource OpenReplaySource() => new SqliteReplaySource(this);

    public override DataConnection OpenCatalog() => new(_catalogOptions);

    public override IImageStore CreateImageStore(Database calls) => new SqliteImageStore(this, calls, Options);

    public SqliteConnection Connect()
    {
        var connection = new SqliteConnection(ConnectionString);
        connection.Open();
        Execute(connection, "PRAGMA synchronous = FULL");
        return connection;
    }

    /// <summary>Runs the work in a transaction, alone among this process's writers.</summary>
    public T Write<T>(Func<SqliteConnection, T> work)
    {
        lock (WriteGate)
        {
            _afterWrite = null;
            using var connection = Connect();
            using var transaction = connection.BeginTransaction(deferred: false);
            var result = work(connection);
            transaction.Commit();
            _afterWrite?.Invoke();
            return result;
        }
    }

    /// <summary>Called within <see cref="Write{T}"/>: what to do once it has committed, still alone.</summary>
    public void AfterWrite(Action action) => _afterWrite = action;

    public override ValueTask<IOwnership> OwnAsync(CancellationToken cancellation) =>
        ValueTask.FromResult<IOwnership>(SqliteOwnership.Take(_path, Options));

    public override Task MigrateAsync(CancellationToken cancellation)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
        using (var connection = Connect())
            Execute(connection, "PRAGMA journal_mode = WAL");
        var isMigrated = Write(connection =>
        {
            Execute(connection, SqliteSchema.Versions);
            var version = (int)Scalar(connection, "SELECT COALESCE(max(version), 0) FROM schema_version");
            RefuseNewer(version, SqliteSchema.Migrations.Count);
            if (version == SqliteSchema.Migrations.Count)
                return false;
            Logs.MigrationBegins(Options.Logger, version, SqliteSchema.Migrations.Count);
            for (var next = version; next < SqliteSchema.Migrations.Count; next++)
            {
                Execute(connection, SqliteSchema.Migrations[next]);
                Execute(
                    connection, "INSERT INTO schema_version VALUES ($version, $at)",
                    ("$version", next + 1), ("$at", Micros.Of(Options.Time.GetUtcNow())));
            }
            return true;
        });
        if (isMigrated)
            Logs.MigrationEnds(Options.Logger, SqliteSchema.Migrations.Count);
        return Task.CompletedTask;
    }

    public override Task CleanUpAsync(CancellationToken cancellation)
    {
        SqliteImageStore.CleanUp(this, Options);
        return Task.CompletedTask;
    }

    public override ValueTask DeleteToAsync(string persistenceId, long toSequenceNr, CancellationToken cancellation)
    {
        Write(connection =>
        {
            var parameters = new (string, object?)[] { ("$id", persistenceId), ("$to", toSequenceNr) };
            Execute(
                connection,
                """
                INSERT INTO journal_deleted (persistence_id, deleted_to)
                SELECT $id, min($to, max(seq)) FROM journal WHERE persistence_id = $id HAVING max(seq) IS NOT NULL
                ON CONFLICT (persistence_id) DO UPDATE SET deleted_to = max(deleted_to, excluded.deleted_to)
                """,
                parameters);
            Execute(connection, "DELETE FROM journal WHERE persistence_id = $id AND seq <= $to", parameters);
            return true;
        });
        return ValueTask.CompletedTask;
    }

    public override ValueTask SaveSnapshotAsync(SnapshotRow row, CancellationToken cancellation)
    {
        Write(connection => SqliteSnapshots.Save(connection, row));
        return ValueTask.CompletedTask;
    }

    public override ValueTask DeleteSnapshotAsync(SnapshotDeletion deletion, CancellationToken cancellation)
    {
        Write(connection => SqliteSnapshots.Delete(connection, deletion));
        return ValueTask.CompletedTask;
    }

    public override ValueTask<int> RemoveAsync(Removal removal, CancellationToken cancellation) =>
        ValueTask.FromResult(Write(connection => SqliteRetention.Remove(connection, removal)));

    public override ValueTask ReadCheckpointsAsync(IReadOnlyList<CheckpointRead> reads, CancellationToken cancellation)
    {
        using var connection = Connect();
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT state FROM checkpoint WHERE instance_id = $id AND checkpoint_id = $key";
        var id = command.Parameters.Add("$id", SqliteType.Text);
        var key = command.Parameters.Add("$key", SqliteType.Text);
        foreach (var read in reads)
        {
            (id.Value, key.Value) = (read.InstanceId, read.Key);
            if (command.ExecuteScalar() is byte[] state)
                read.Found(state);
        }
        return ValueTask.CompletedTask;
    }

    public override ValueTask DisposeAsync()
    {
        using var connection = new SqliteConnection(ConnectionString);
        SqliteConnection.ClearPool(connection);
        return ValueTask.CompletedTask;
    }

    public static int Execute(SqliteConnection connection, string sql, params (string Name, object? Value)[] parameters)
    {
        using var command = Command(connection, sql, parameters);
        return command.ExecuteNonQuery();
    }

    public static long Scalar(SqliteConnection connection, string sql, params (string Name, object? Value)[] parameters)
    {
        using var command = Command(connection, sql, parameters);
        return (long)command.ExecuteScalar()!;
    }

    public static SqliteCommand Command(
        SqliteConnection connection, string sql, params (string Name, object? Value)[] parameters)
    {
        var command = connection.CreateCommand();
        command.CommandText = sql;
        foreach (var (name, value) in parameters)
            command.Parameters.AddWithValue(name, value ?? DBNull.Value);
        return command;
    }
}
