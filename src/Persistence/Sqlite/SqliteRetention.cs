using System.Diagnostics;
using System.Text.Json;
using Microsoft.Data.Sqlite;

namespace Runtara.Persistence.Sqlite;

/// <summary>The statements that remove instances.</summary>
internal static class SqliteRetention
{
    private const string Checkpoints = $"DELETE FROM checkpoint {First} size AS size FROM checkpoint {Rest}";

    private const string Events = $"DELETE FROM event {First} COALESCE(length(payload), 0) AS size FROM event {Rest}";

    private const string CustomSignals =
        $"DELETE FROM custom_signal {First} length(payload) AS size FROM custom_signal {Rest}";

    private const string First =
        """
        WHERE rowid IN (
          SELECT id FROM (
            SELECT id, sum(size) OVER (ROWS UNBOUNDED PRECEDING) - size AS before FROM (
              SELECT rowid AS id,
        """;

    private const string Rest =
        """
              WHERE instance_id IN (SELECT value FROM json_each($ids)) LIMIT $rows))
          WHERE before < $bytes)
        """;

    // What the two statements about instances have in common: which ones.
    private const string Expired =
        """
        instance_id IN (SELECT value FROM json_each($ids)) AND status IN (4, 5, 6) AND finished_at <= $until
          AND NOT EXISTS (SELECT 1 FROM checkpoint c WHERE c.instance_id = instance.instance_id)
          AND NOT EXISTS (SELECT 1 FROM event e WHERE e.instance_id = instance.instance_id)
          AND NOT EXISTS (SELECT 1 FROM custom_signal s WHERE s.instance_id = instance.instance_id)
        """;

    private const string MarkJournal =
        $"""
        INSERT INTO journal_deleted (persistence_id, deleted_to)
        SELECT instance_id, (SELECT max(seq) FROM journal WHERE persistence_id = instance_id) FROM instance
        WHERE {Expired} AND EXISTS (SELECT 1 FROM journal WHERE persistence_id = instance_id)
        ON CONFLICT (persistence_id) DO UPDATE SET deleted_to = max(deleted_to, excluded.deleted_to)
        """;

    private const string Instances = $"DELETE FROM instance WHERE {Expired}";

    private const string Snapshots =
        """
        DELETE FROM snapshot WHERE instance_id IN (SELECT value FROM json_each($ids))
          AND NOT EXISTS (SELECT 1 FROM instance i WHERE i.instance_id = snapshot.instance_id)
        """;

    private const string Journal =
        """
        DELETE FROM journal WHERE (persistence_id, seq) IN (
          SELECT j.persistence_id, j.seq FROM journal_deleted d
          JOIN journal j ON j.persistence_id = d.persistence_id AND j.seq <= d.deleted_to
          WHERE d.persistence_id IN (SELECT value FROM json_each($ids)) LIMIT $rows)
        """;

    private const string Marks =
        """
        DELETE FROM journal_deleted WHERE persistence_id IN (SELECT value FROM json_each($ids))
          AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.persistence_id = journal_deleted.persistence_id)
        """;

    /// <summary>One step, within a transaction.</summary>
    public static int Remove(SqliteConnection connection, Removal removal)
    {
        var ids = ("$ids", (object?)JsonSerializer.Serialize(removal.Instances));
        var rows = ("$rows", (object?)removal.RowsMax);
        var bytes = ("$bytes", (object?)removal.BytesMax);
        var until = ("$until", (object?)removal.FinishedUntil);
        switch (removal.Step)
        {
            case RemovalStep.Checkpoints: return SqliteDatabase.Execute(connection, Checkpoints, ids, rows, bytes);
            case RemovalStep.Events: return SqliteDatabase.Execute(connection, Events, ids, rows, bytes);
            case RemovalStep.CustomSignals: return SqliteDatabase.Execute(connection, CustomSignals, ids, rows, bytes);
            case RemovalStep.Instances:
                SqliteDatabase.Execute(connection, MarkJournal, ids, until);
                var gone = SqliteDatabase.Execute(connection, Instances, ids, until);
                SqliteDatabase.Execute(connection, Snapshots, ids);
                return gone;
            case RemovalStep.Journal: return SqliteDatabase.Execute(connection, Journal, ids, rows);
            case RemovalStep.Marks: return SqliteDatabase.Execute(connection, Marks, ids);
            default: throw new UnreachableException(removal.Step.ToString());
        }
    }
}
