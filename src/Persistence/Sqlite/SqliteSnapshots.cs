using Microsoft.Data.Sqlite;
using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence.Sqlite;

/// <summary>The statements about snapshots.</summary>
internal static class SqliteSnapshots
{
    private const string Upsert =
        """
        INSERT INTO snapshot (instance_id, seq, at, serializer, manifest, payload)
        SELECT $id, $seq, $at, $serializer, $manifest, $payload
        WHERE EXISTS (SELECT 1 FROM instance WHERE instance_id = $id)
          AND EXISTS (SELECT 1 FROM journal WHERE persistence_id = $id AND seq = $seq AND at = $at)
          AND NOT EXISTS (SELECT 1 FROM journal_deleted WHERE persistence_id = $id AND deleted_to >= $seq)
        ON CONFLICT (instance_id) DO UPDATE SET
          seq = excluded.seq, at = excluded.at, serializer = excluded.serializer, manifest = excluded.manifest,
          payload = excluded.payload
        WHERE excluded.seq > snapshot.seq
        """;

    private const string Select =
        """
        SELECT s.seq, s.at, s.serializer, s.manifest, s.payload FROM snapshot s
        JOIN journal j ON j.persistence_id = s.instance_id AND j.seq = s.seq AND j.at = s.at
        LEFT JOIN journal_deleted d ON d.persistence_id = s.instance_id AND d.deleted_to >= s.seq
        WHERE s.instance_id = $id AND d.deleted_to IS NULL
        """;

    private const string HasNothing =
        """
        SELECT NOT EXISTS (SELECT 1 FROM journal WHERE persistence_id = $id)
          AND NOT EXISTS (SELECT 1 FROM journal_deleted WHERE persistence_id = $id)
        """;

    private const string Remove =
        """
        DELETE FROM snapshot WHERE instance_id = $id
          AND seq BETWEEN $fromSeq AND $toSeq AND at BETWEEN $fromAt AND $toAt
        """;

    /// <summary>Within a transaction.</summary>
    public static int Save(SqliteConnection connection, SnapshotRow row) => SqliteDatabase.Execute(
        connection, Upsert, ("$id", row.PersistenceId), ("$seq", row.SequenceNr), ("$at", row.AtMicros),
        ("$serializer", row.SerializerId), ("$manifest", row.Manifest), ("$payload", row.Payload));

    public static void Read(
        SqliteConnection connection, IReadOnlyList<SnapshotRead> reads, CancellationToken cancellation)
    {
        using var command = connection.CreateCommand();
        command.CommandText = Select;
        var id = command.Parameters.Add("$id", SqliteType.Text);
        foreach (var read in reads)
        {
            cancellation.ThrowIfCancellationRequested();
            id.Value = read.PersistenceId;
            using var reader = command.ExecuteReader();
            if (reader.Read())
            {
                read.Answer(new SnapshotRow(
                    read.PersistenceId, reader.GetInt64(0), reader.GetInt64(1), reader.GetInt32(2),
                    reader.GetString(3), reader.GetFieldValue<byte[]>(4)));
            }
            else
            {
                read.Answer(
                    null, SqliteDatabase.Scalar(connection, HasNothing, ("$id", read.PersistenceId)) == 1);
            }
        }
    }

    public static int Delete(SqliteConnection connection, SnapshotDeletion deletion) => SqliteDatabase.Execute(
        connection, Remove, ("$id", deletion.PersistenceId), ("$fromSeq", deletion.FromSequenceNr),
        ("$toSeq", deletion.ToSequenceNr), ("$fromAt", deletion.FromMicros), ("$toAt", deletion.ToMicros));
}
