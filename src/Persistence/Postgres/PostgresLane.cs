using System.Data;
using Npgsql;
using NpgsqlTypes;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Projection;

namespace Runtara.Persistence.Postgres;

/// <summary>One batch, one round trip, one implicit transaction for each commit.</summary>
internal sealed class PostgresLane(NpgsqlDataSource source) : IJournalLane
{
    private NpgsqlConnection? _connection;

    public async ValueTask CommitAsync(IReadOnlyList<AtomicUnit> units, CancellationToken cancellation)
    {
        var changes = RowChanges.Of(units);
        await using var batch = new NpgsqlBatch(await ConnectAsync(cancellation));
        AddJournal(batch, changes.Journal);
        AddInstances(batch, changes.Instances);
        AddCheckpoints(batch, changes.Checkpoints);
        AddProgress(batch, changes.Patches.Where(p => (p.Changes & Change.Progress) != 0).ToList());
        AddResults(batch, changes.Patches.Where(p => (p.Changes & Change.Results) != 0).ToList());
        AddEvents(batch, changes.Events);
        AddCustomSignals(batch, changes);
        await batch.ExecuteNonQueryAsync(cancellation);
    }

    public async ValueTask<IReadOnlySet<AtomicUnit>> FindStoredAsync(
        IReadOnlyList<AtomicUnit> units, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(PostgresSql.FindStored, await ConnectAsync(cancellation));
        command.Parameters.Add(Array(units, u => u.PersistenceId));
        command.Parameters.Add(Array(units, u => u.Rows[0].SequenceNr));
        command.Parameters.Add(Array(units, u => u.Rows[0].Writer));
        var stored = new HashSet<AtomicUnit>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            stored.Add(units[(int)reader.GetInt64(0) - 1]);
        return stored;
    }

    public async ValueTask ResetAsync()
    {
        if (_connection is { } connection)
        {
            _connection = null;
            await connection.DisposeAsync();
        }
    }

    public ValueTask DisposeAsync() => ResetAsync();

    // A failed write (an unencodable string, say) can leave the connection broken without an outage.
    private async ValueTask<NpgsqlConnection> ConnectAsync(CancellationToken cancellation)
    {
        if (_connection is { FullState: ConnectionState.Open } open)
            return open;
        await ResetAsync();
        return _connection = await source.OpenConnectionAsync(cancellation);
    }

    private static void AddJournal(NpgsqlBatch batch, List<JournalRow> rows) => Add(
        batch, PostgresSql.InsertJournal,
        Array(rows, r => r.PersistenceId), Array(rows, r => r.SequenceNr), Array(rows, r => r.AtMicros),
        Array(rows, r => r.SerializerId), Array(rows, r => r.Manifest), Array(rows, r => r.Writer),
        Array(rows, r => r.Payload));

    private static void AddInstances(NpgsqlBatch batch, List<NewInstance> rows)
    {
        if (rows.Count == 0)
            return;
        var images = rows.Where(r => r.ImageId is not null).Select(r => r.ImageId!).Distinct().ToList();
        if (images.Count > 0)
            Add(batch, PostgresSql.LockImages, Array(images, i => i));
        Add(
            batch, PostgresSql.InsertInstance,
            Array(rows, r => r.InstanceId), Array(rows, r => r.TenantId), Array(rows, r => r.Status),
            Array(rows, r => (short)r.Shard), Array(rows, r => r.ImageId), Array(rows, r => r.ImageName),
            Array(rows, r => r.TimeoutMs), Array(rows, r => r.MaxRetries), Array(rows, r => r.CreatedAt),
            Array(rows, r => r.StartedAt), Array(rows, r => r.Input));
    }

    private static void AddCheckpoints(NpgsqlBatch batch, List<NewCheckpoint> rows)
    {
        if (rows.Count == 0)
            return;
        Add(
            batch, PostgresSql.InsertCheckpoint,
            Array(rows, r => r.InstanceId), Array(rows, r => r.Key), Array(rows, r => r.SequenceNr),
            Array(rows, r => r.At), Array(rows, r => r.State.Length), Array(rows, r => r.State));
    }

    private static void AddProgress(NpgsqlBatch batch, List<InstancePatch> rows)
    {
        if (rows.Count == 0)
            return;
        Add(
            batch, PostgresSql.UpdateProgress,
            Array(rows, r => r.InstanceId), Array(rows, r => (int)r.Changes), Array(rows, r => r.Status),
            Array(rows, r => r.Attempt), Array(rows, r => r.CheckpointId), Array(rows, r => r.StartedAt),
            Array(rows, r => r.WakeAt), Array(rows, r => r.RetryCount), Array(rows, r => r.FinishedAt));
    }

    private static void AddResults(NpgsqlBatch batch, List<InstancePatch> rows)
    {
        if (rows.Count == 0)
            return;
        Add(
            batch, PostgresSql.UpdateResults,
            Array(rows, r => r.InstanceId), Array(rows, r => (int)r.Changes), Array(rows, r => r.Error),
            Array(rows, r => r.Output), Array(rows, r => r.Stderr), Array(rows, r => r.MemoryPeakBytes),
            Array(rows, r => r.CpuMicroseconds));
    }

    private static void AddEvents(NpgsqlBatch batch, List<NewEvent> rows)
    {
        if (rows.Count == 0)
            return;
        Add(
            batch, PostgresSql.InsertEvent,
            Array(rows, r => r.InstanceId), Array(rows, r => r.SequenceNr), Array(rows, r => r.Type),
            Array(rows, r => r.Subtype), Array(rows, r => r.CheckpointId), Array(rows, r => r.Payload),
            Array(rows, r => r.CreatedAt));
    }

    private static void AddCustomSignals(NpgsqlBatch batch, RowChanges changes)
    {
        if (changes.CustomSignals is { Count: > 0 } sent)
        {
            Add(
                batch, PostgresSql.InsertCustomSignal,
                Array(sent, r => r.InstanceId), Array(sent, r => r.Number), Array(sent, r => r.Key),
                Array(sent, r => r.At), Array(sent, r => r.Payload));
        }
        // After the insertion: one commit may hold both.
        if (changes.Consumed is { Count: > 0 } consumed)
        {
            Add(batch, PostgresSql.DeleteConsumed, Array(consumed, r => r.InstanceId));
            Add(batch, PostgresSql.Consume, Array(consumed, r => r.InstanceId), Array(consumed, r => r.Number));
        }
        if (changes.Ended is { Count: > 0 } ended)
            Add(batch, PostgresSql.DeleteConsumed, Array(ended, id => id));
    }

    private static void Add(NpgsqlBatch batch, string sql, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.Add(parameter);
        batch.BatchCommands.Add(command);
    }

    private static NpgsqlParameter<T[]> Array<TRow, T>(IReadOnlyList<TRow> rows, Func<TRow, T> column)
    {
        var values = new T[rows.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = column(rows[i]);
        return new NpgsqlParameter<T[]> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | TypeOf<T>() };
    }

    private static NpgsqlDbType TypeOf<T>() => default(T) switch
    {
        null when typeof(T) == typeof(string) => NpgsqlDbType.Text,
        null when typeof(T) == typeof(byte[]) => NpgsqlDbType.Bytea,
        null when typeof(T) == typeof(long?) => NpgsqlDbType.Bigint,
        long => NpgsqlDbType.Bigint,
        int => NpgsqlDbType.Integer,
        short => NpgsqlDbType.Smallint,
        _ => throw new NotSupportedException(typeof(T).Name),
    };
}
