using Npgsql;
using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence.Postgres;

/// <summary>The statements about snapshots.</summary>
internal static class PostgresSnapshots
{
    // A removal passes over an instance whose row is locked here; and this waits for a removal that came first, and
    // then finds no instance. So no snapshot is left of an instance that is gone.
    private const string Upsert =
        """
        INSERT INTO snapshot (instance_id, seq, at, serializer, manifest, payload)
        SELECT i.instance_id, $2, $3, $4, $5, $6 FROM instance i
        WHERE i.instance_id = $1
          AND EXISTS (SELECT 1 FROM journal WHERE persistence_id = $1 AND seq = $2 AND at = $3)
          AND NOT EXISTS (SELECT 1 FROM journal_deleted WHERE persistence_id = $1 AND deleted_to >= $2)
        FOR KEY SHARE OF i
        ON CONFLICT (instance_id) DO UPDATE SET
          seq = EXCLUDED.seq, at = EXCLUDED.at, serializer = EXCLUDED.serializer, manifest = EXCLUDED.manifest,
          payload = EXCLUDED.payload
        WHERE EXCLUDED.seq > snapshot.seq
        """;

    private const string Select =
        """
        SELECT r.n, m.seq IS NULL AND d.deleted_to IS NULL, s.seq, s.at, s.serializer, s.manifest, s.payload
        FROM unnest($1::text[]) WITH ORDINALITY AS r(id, n)
        LEFT JOIN journal_deleted d ON d.persistence_id = r.id
        LEFT JOIN LATERAL (SELECT seq FROM journal WHERE persistence_id = r.id LIMIT 1) m ON true
        LEFT JOIN LATERAL (
          SELECT s.* FROM snapshot s
          JOIN journal j ON j.persistence_id = s.instance_id AND j.seq = s.seq AND j.at = s.at
          WHERE s.instance_id = r.id AND s.seq > COALESCE(d.deleted_to, 0) LIMIT 1) s ON true
        """;

    private const string Remove =
        "DELETE FROM snapshot WHERE instance_id = $1 AND seq BETWEEN $2 AND $3 AND at BETWEEN $4 AND $5";

    public static async ValueTask SaveAsync(
        NpgsqlDataSource source, SnapshotRow row, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(Upsert);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = row.PersistenceId });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = row.SequenceNr });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = row.AtMicros });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = row.SerializerId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = row.Manifest });
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = row.Payload });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    public static async ValueTask ReadAsync(
        NpgsqlConnection connection, IReadOnlyList<SnapshotRead> reads, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(Select, connection);
        command.Parameters.Add(
            new NpgsqlParameter<string[]> { TypedValue = reads.Select(r => r.PersistenceId).ToArray() });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var read = reads[(int)reader.GetInt64(0) - 1];
            if (reader.IsDBNull(2))
            {
                read.Answer(null, reader.GetBoolean(1));
                continue;
            }
            read.Answer(new SnapshotRow(
                read.PersistenceId, reader.GetInt64(2), reader.GetInt64(3), reader.GetInt32(4), reader.GetString(5),
                await reader.GetFieldValueAsync<byte[]>(6, cancellation)));
        }
    }

    public static async ValueTask DeleteAsync(
        NpgsqlDataSource source, SnapshotDeletion deletion, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(Remove);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = deletion.PersistenceId });
        foreach (var bound in (long[])[
            deletion.FromSequenceNr, deletion.ToSequenceNr, deletion.FromMicros, deletion.ToMicros])
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = bound });
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
