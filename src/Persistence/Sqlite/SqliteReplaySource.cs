using Microsoft.Data.Sqlite;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence.Sqlite;

/// <summary>Reads recoveries one after the other on a connection that only reads.</summary>
internal sealed class SqliteReplaySource(SqliteDatabase database) : IReplaySource
{
    private SqliteConnection? _connection;

    public ValueTask ReadAsync(IReadOnlyList<Replay> replays, CancellationToken cancellation)
    {
        _connection ??= database.Connect();
        foreach (var replay in replays)
        {
            cancellation.ThrowIfCancellationRequested();
            // One view of the database for bounds and rows.
            using var transaction = _connection.BeginTransaction(deferred: true);
            Read(_connection, replay);
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask ReadSnapshotsAsync(IReadOnlyList<SnapshotRead> reads, CancellationToken cancellation)
    {
        _connection ??= database.Connect();
        SqliteSnapshots.Read(_connection, reads, cancellation);
        return ValueTask.CompletedTask;
    }

    public ValueTask ResetAsync()
    {
        _connection?.Dispose();
        _connection = null;
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => ResetAsync();

    private static void Read(SqliteConnection connection, Replay replay)
    {
        var deletedTo = SqliteDatabase.Scalar(
            connection, "SELECT COALESCE((SELECT deleted_to FROM journal_deleted WHERE persistence_id = $id), 0)",
            ("$id", replay.PersistenceId));
        var highest = SqliteDatabase.Scalar(
            connection, "SELECT COALESCE((SELECT max(seq) FROM journal WHERE persistence_id = $id), 0)",
            ("$id", replay.PersistenceId));
        replay.Begin(Math.Max(highest, deletedTo), deletedTo);
        using var command = SqliteDatabase.Command(
            connection,
            """
            SELECT seq, at, serializer, manifest, writer, payload FROM journal
            WHERE persistence_id = $id AND seq >= $from AND seq <= $to ORDER BY seq LIMIT $max
            """,
            ("$id", replay.PersistenceId), ("$from", replay.From), ("$to", replay.To),
            ("$max", Math.Max(0, replay.Left)));
        using var reader = command.ExecuteReader();
        while (reader.Read())
        {
            var row = new StoredRow(
                reader.GetInt64(0), reader.GetInt64(1), reader.GetInt32(2), reader.GetString(3), reader.GetString(4),
                reader.GetFieldValue<byte[]>(5));
            if (!replay.Accept(row))
                break;
        }
        replay.End();
    }
}
