using System.Diagnostics;
using Npgsql;

namespace Runtara.Persistence.Postgres;

/// <summary>The statements that remove instances. Rows that another node is removing are passed over.</summary>
internal static class PostgresRetention
{
    private const string Checkpoints = $"DELETE FROM checkpoint {First} size AS size FROM checkpoint {Rest}";

    private const string Events =
        $"DELETE FROM event {First} COALESCE(octet_length(payload), 0) AS size FROM event {Rest}";

    private const string CustomSignals =
        $"DELETE FROM custom_signal {First} octet_length(payload) AS size FROM custom_signal {Rest}";

    private const string First =
        """
        WHERE ctid = ANY (ARRAY(
          SELECT id FROM (
            SELECT id, sum(size) OVER (ROWS UNBOUNDED PRECEDING) - size AS before FROM (
              SELECT ctid AS id,
        """;

    private const string Rest =
        """
              WHERE instance_id = ANY ($1)
              LIMIT $2 FOR UPDATE SKIP LOCKED) AS taken) AS sums
          WHERE before < $3))
        """;

    private const string Instances =
        """
        WITH gone AS (
          DELETE FROM instance WHERE instance_id = ANY (ARRAY(
            SELECT i.instance_id FROM instance i
            WHERE i.instance_id = ANY ($1) AND i.status IN (4, 5, 6) AND i.finished_at <= $2
              AND NOT EXISTS (SELECT 1 FROM checkpoint c WHERE c.instance_id = i.instance_id)
              AND NOT EXISTS (SELECT 1 FROM event e WHERE e.instance_id = i.instance_id)
              AND NOT EXISTS (SELECT 1 FROM custom_signal s WHERE s.instance_id = i.instance_id)
            FOR UPDATE SKIP LOCKED))
          RETURNING instance_id),
        marked AS (
          INSERT INTO journal_deleted (persistence_id, deleted_to)
          SELECT g.instance_id, j.seq FROM gone g CROSS JOIN LATERAL (
            SELECT seq FROM journal WHERE persistence_id = g.instance_id ORDER BY seq DESC LIMIT 1) AS j
          ON CONFLICT (persistence_id) DO UPDATE
            SET deleted_to = GREATEST(journal_deleted.deleted_to, EXCLUDED.deleted_to))
        SELECT count(*) FROM gone
        """;

    // A statement of its own, within the transaction that took the instances: so it also sees a snapshot that was
    // committed while the first one looked for them.
    private const string Snapshots =
        """
        DELETE FROM snapshot s WHERE s.instance_id = ANY ($1)
          AND NOT EXISTS (SELECT 1 FROM instance i WHERE i.instance_id = s.instance_id)
        """;

    private const string Journal =
        """
        DELETE FROM journal WHERE ctid = ANY (ARRAY(
          SELECT j.ctid FROM journal_deleted d
          JOIN journal j ON j.persistence_id = d.persistence_id AND j.seq <= d.deleted_to
          WHERE d.persistence_id = ANY ($1) LIMIT $2 FOR UPDATE OF j SKIP LOCKED))
        """;

    private const string Marks =
        """
        DELETE FROM journal_deleted d WHERE d.persistence_id = ANY ($1)
          AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.persistence_id = d.persistence_id)
        """;

    /// <summary>One step, in a transaction of its own.</summary>
    public static async ValueTask<int> RemoveAsync(
        NpgsqlDataSource source, Removal removal, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        if (removal.Step is RemovalStep.Instances)
            return await RemoveInstancesAsync(connection, removal, cancellation);
        await using var command = new NpgsqlCommand(SqlOf(removal.Step), connection);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. removal.Instances] });
        if (removal.Step is not RemovalStep.Marks)
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = removal.RowsMax });
        if (removal.Step is RemovalStep.Checkpoints or RemovalStep.Events or RemovalStep.CustomSignals)
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = removal.BytesMax });
        return await command.ExecuteNonQueryAsync(cancellation);
    }

    private static async ValueTask<int> RemoveInstancesAsync(
        NpgsqlConnection connection, Removal removal, CancellationToken cancellation)
    {
        string[] ids = [.. removal.Instances];
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new NpgsqlBatchCommand(Instances)
                {
                    Parameters =
                    {
                        new NpgsqlParameter<string[]> { TypedValue = ids },
                        new NpgsqlParameter<long> { TypedValue = removal.FinishedUntil },
                    },
                },
                new NpgsqlBatchCommand(Snapshots)
                {
                    Parameters = { new NpgsqlParameter<string[]> { TypedValue = ids } },
                },
            },
        };
        await using var reader = await batch.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        var gone = (int)reader.GetInt64(0);
        // Reads the second one to its end: a statement that fails must not go unnoticed.
        while (await reader.NextResultAsync(cancellation))
        {
        }
        return gone;
    }

    private static string SqlOf(RemovalStep step) => step switch
    {
        RemovalStep.Checkpoints => Checkpoints,
        RemovalStep.Events => Events,
        RemovalStep.CustomSignals => CustomSignals,
        RemovalStep.Journal => Journal,
        RemovalStep.Marks => Marks,
        _ => throw new UnreachableException(step.ToString()),
    };
}
