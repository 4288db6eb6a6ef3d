using Npgsql;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence.Postgres;

/// <summary>Reads all recoveries of a batch in one round trip: their bounds, then their rows.</summary>
internal sealed class PostgresReplaySource(NpgsqlDataSource source) : IReplaySource
{
    private NpgsqlConnection? _connection;

    public async ValueTask ReadAsync(IReadOnlyList<Replay> replays, CancellationToken cancellation)
    {
        _connection ??= await source.OpenConnectionAsync(cancellation);
        await using var batch = new NpgsqlBatch(_connection);
        var ids = replays.Select(r => r.PersistenceId).ToArray();
        batch.BatchCommands.Add(new NpgsqlBatchCommand(PostgresSql.ReplayBounds)
        {
            Parameters = { new NpgsqlParameter<string[]> { TypedValue = ids } },
        });
        batch.BatchCommands.Add(new NpgsqlBatchCommand(PostgresSql.ReplayRows)
        {
            Parameters =
            {
                new NpgsqlParameter<string[]> { TypedValue = ids },
                new NpgsqlParameter<long[]> { TypedValue = replays.Select(r => r.From).ToArray() },
                new NpgsqlParameter<long[]> { TypedValue = replays.Select(r => r.To).ToArray() },
                new NpgsqlParameter<long[]> { TypedValue = replays.Select(r => Math.Max(0, r.Left)).ToArray() },
            },
        });
        await using var reader = await batch.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
            replays[(int)reader.GetInt64(0) - 1].Begin(reader.GetInt64(1), reader.GetInt64(2));
        await reader.NextResultAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            replays[(int)reader.GetInt64(0) - 1].Accept(new StoredRow(
                reader.GetInt64(1), reader.GetInt64(2), reader.GetInt32(3), reader.GetString(4), reader.GetString(5),
                await reader.GetFieldValueAsync<byte[]>(6, cancellation)));
        }
        foreach (var replay in replays)
            replay.End();
    }

    public async ValueTask ReadSnapshotsAsync(IReadOnlyList<SnapshotRead> reads, CancellationToken cancellation)
    {
        _connection ??= await source.OpenConnectionAsync(cancellation);
        await PostgresSnapshots.ReadAsync(_connection, reads, cancellation);
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
}
