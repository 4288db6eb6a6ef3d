using Microsoft.Data.Sqlite;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Projection;

namespace Runtara.Persistence.Sqlite;

/// <summary>Prepared statements in one transaction for each commit. Every call blocks.</summary>
/// <param name="writeGate">Held for each transaction.</param>
/// <param name="connect">Opens the lane's connection, and another after a reset.</param>
internal sealed class SqliteLane(Lock writeGate, Func<SqliteConnection> connect) : IJournalLane
{
    private Statements? _statements;

    public ValueTask CommitAsync(IReadOnlyList<AtomicUnit> units, CancellationToken cancellation)
    {
        var changes = RowChanges.Of(units);
        lock (writeGate)
        {
            var statements = _statements ??= new Statements(connect());
            try
            {
                statements.Begin.Run();
                Write(statements, changes);
                statements.Commit.Run();
            }
            // Whatever it was: a transaction that stays open would refuse all later ones.
            catch
            {
                statements.TryRollback();
                throw;
            }
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlySet<AtomicUnit>> FindStoredAsync(
        IReadOnlyList<AtomicUnit> units, CancellationToken cancellation)
    {
        var statements = _statements ??= new Statements(connect());
        var stored = new HashSet<AtomicUnit>();
        foreach (var unit in units)
        {
            var first = unit.Rows[0];
            if (statements.FindStored.Exists(first.PersistenceId, first.SequenceNr, first.Writer))
                stored.Add(unit);
        }
        return ValueTask.FromResult<IReadOnlySet<AtomicUnit>>(stored);
    }

    public ValueTask ResetAsync()
    {
        _statements?.Dispose();
        _statements = null;
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => ResetAsync();

    private static void Write(Statements to, RowChanges changes)
    {
        foreach (var r in changes.Journal)
            to.Journal.Run(r.PersistenceId, r.SequenceNr, r.AtMicros, r.SerializerId, r.Manifest, r.Writer, r.Payload);
        foreach (var r in changes.Instances)
        {
            to.Instance.Run(
                r.InstanceId, r.TenantId, r.Status, r.Shard, r.ImageId, r.ImageName, r.TimeoutMs, r.MaxRetries,
                r.CreatedAt, r.StartedAt, r.Input);
        }
        foreach (var r in changes.Checkpoints)
            to.Checkpoint.Run(r.InstanceId, r.Key, r.SequenceNr, r.At, r.State.Length, r.State);
        foreach (var r in changes.Patches)
        {
            if ((r.Changes & Change.Progress) != 0)
            {
                to.Progress.Run(
                    r.InstanceId, (int)r.Changes, r.Status, r.Attempt, r.CheckpointId, r.StartedAt, r.WakeAt,
                    r.RetryCount, r.FinishedAt);
            }
            if ((r.Changes & Change.Results) != 0)
            {
                to.Results.Run(
                    r.InstanceId, (int)r.Changes, r.Error, r.Output, r.Stderr, r.MemoryPeakBytes, r.CpuMicroseconds);
            }
        }
        foreach (var r in changes.Events)
            to.Event.Run(r.InstanceId, r.SequenceNr, r.Type, r.Subtype, r.CheckpointId, r.Payload, r.CreatedAt);
        foreach (var r in changes.CustomSignals)
            to.CustomSignal.Run(r.InstanceId, r.Number, r.Key, r.At, r.Payload);
        // After the insertion: one commit may hold both.
        foreach (var r in changes.Consumed.DistinctBy(r => r.InstanceId))
            to.DeleteConsumed.Run(r.InstanceId);
        foreach (var r in changes.Consumed)
            to.Consume.Run(r.InstanceId, r.Number);
        foreach (var id in changes.Ended)
            to.DeleteConsumed.Run(id);
    }

    /// <summary>One prepared statement with parameters $1, $2, ….</summary>
    private sealed class Statement : IDisposable
    {
        private readonly SqliteCommand _command;

        public Statement(SqliteConnection connection, string sql, int parameters)
        {
            _command = connection.CreateCommand();
            _command.CommandText = sql;
            for (var i = 1; i <= parameters; i++)
                _command.Parameters.Add(new SqliteParameter { ParameterName = $"${i}" });
            _command.Prepare();
        }

        public void Run(params ReadOnlySpan<object?> values)
        {
            Bind(values);
            _command.ExecuteNonQuery();
        }

        public bool Exists(params ReadOnlySpan<object?> values)
        {
            Bind(values);
            return _command.ExecuteScalar() is not null;
        }

        public void Dispose() => _command.Dispose();

        private void Bind(ReadOnlySpan<object?> values)
        {
            for (var i = 0; i < values.Length; i++)
                _command.Parameters[i].Value = values[i] ?? DBNull.Value;
        }
    }

    private sealed class Statements(SqliteConnection connection) : IDisposable
    {
        public Statement Begin { get; } = new(connection, "BEGIN IMMEDIATE", 0);

        public Statement Commit { get; } = new(connection, "COMMIT", 0);

        public Statement Journal { get; } = new(
            connection,
            """
            INSERT INTO journal (persistence_id, seq, at, serializer, manifest, writer, payload)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            7);

        public Statement Instance { get; } = new(
            connection,
            """
            INSERT INTO instance (instance_id, tenant_id, status, shard, image_id, image_name, timeout_ms, max_retries,
              created_at, started_at, input) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """,
            11);

        public Statement Checkpoint { get; } = new(
            connection,
            """
            INSERT INTO checkpoint (instance_id, checkpoint_id, seq, at, size, state)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
            """,
            6);

        /// <summary>The bits of the mask are those of <see cref="Change"/>.</summary>
        public Statement Progress { get; } = new(
            connection,
            """
            UPDATE instance SET
              status = CASE WHEN $2 & 1 THEN $3 ELSE status END,
              attempt = CASE WHEN $2 & 2 THEN $4 ELSE attempt END,
              checkpoint_id = CASE WHEN $2 & 4 THEN $5 ELSE checkpoint_id END,
              started_at = CASE WHEN $2 & 8 THEN COALESCE(started_at, $6) ELSE started_at END,
              wake_at = CASE WHEN $2 & 16 THEN $7 ELSE wake_at END,
              retry_count = CASE WHEN $2 & 32 THEN $8 ELSE retry_count END,
              finished_at = CASE WHEN $2 & 64 THEN $9 ELSE finished_at END
            WHERE instance_id = $1
            """,
            9);

        /// <summary>The bits of the mask are those of <see cref="Change"/>.</summary>
        public Statement Results { get; } = new(
            connection,
            """
            UPDATE instance SET
              error = CASE WHEN $2 & 128 THEN $3 ELSE error END,
              output = CASE WHEN $2 & 256 THEN $4 ELSE output END,
              stderr = CASE WHEN $2 & 512 THEN $5 ELSE stderr END,
              memory_peak_bytes = CASE WHEN $2 & 1024 THEN $6 ELSE memory_peak_bytes END,
              cpu_usec = CASE WHEN $2 & 2048 THEN $7 ELSE cpu_usec END
            WHERE instance_id = $1
            """,
            7);

        public Statement Event { get; } = new(
            connection,
            """
            INSERT INTO event (instance_id, seq, type, subtype, checkpoint_id, payload, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            7);

        public Statement CustomSignal { get; } = new(
            connection,
            "INSERT INTO custom_signal (instance_id, number, key, at, payload) VALUES ($1, $2, $3, $4, $5)",
            5);

        public Statement DeleteConsumed { get; } = new(
            connection, "DELETE FROM custom_signal WHERE instance_id = $1 AND is_consumed", 1);

        public Statement Consume { get; } = new(
            connection, "UPDATE custom_signal SET is_consumed = 1 WHERE instance_id = $1 AND number = $2", 2);

        public Statement FindStored { get; } = new(
            connection, "SELECT 1 FROM journal WHERE persistence_id = $1 AND seq = $2 AND writer = $3", 3);

        public void TryRollback()
        {
            try
            {
                SqliteDatabase.Execute(connection, "ROLLBACK");
            }
            catch (SqliteException)
            {
                // Some errors have already rolled back; then this says so and there is nothing left to do.
            }
        }

        public void Dispose()
        {
            foreach (var statement in (Statement[])
                [
                    Begin, Commit, Journal, Instance, Checkpoint, Progress, Results, Event, CustomSignal,
                    DeleteConsumed, Consume, FindStored,
                ])
            {
                statement.Dispose();
            }
            connection.Dispose();
        }
    }
}
