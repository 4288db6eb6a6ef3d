using Npgsql;

namespace Runtara.Persistence.Postgres;

/// <summary>
/// An advisory lock of a session that has a connection to itself. The server lets go of it when the connection ends:
/// at once when the process does, within half a minute when the whole machine has gone, because the connection has the
/// server ask. A lost connection is made again, and the lock taken again, for as long as it takes; when another daemon
/// has it by then, this one is told by <see cref="Lost"/>.
/// </summary>
internal sealed class PostgresOwnership : IOwnership
{
    // The server cuts off a longer one.
    private const int NameLengthMax = 63;
    private const int AnswerSeconds = 10;

    // Of a schema, for that is where the tables are. The first number has no meaning.
    private const string Schema = "COALESCE((SELECT oid FROM pg_namespace WHERE nspname = current_schema()), 0)";
    private const string Take = $"SELECT pg_try_advisory_lock(1920298612, {Schema}::int)";
    private const string Holder =
        $"""
        SELECT l.pid, COALESCE(a.application_name, '') FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = 1920298612
          AND l.objid = {Schema} AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """;
    private const string Session =
        """
        SELECT set_config(name, given.value, false) FROM pg_settings JOIN (VALUES
          ('idle_session_timeout', '0'), ('tcp_keepalives_idle', '15'), ('tcp_keepalives_interval', '5'),
          ('tcp_keepalives_count', '3')) given (name, value) USING (name)
        """;

    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(10);

    private readonly NpgsqlDataSource _source;
    private readonly StoreOptions _options;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<string> _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Held _held;
    private Task _watch = Task.CompletedTask;

    private PostgresOwnership(NpgsqlDataSource source, StoreOptions options, Held held) =>
        (_source, _options, _held) = (source, options, held);

    public Task<string> Lost => _lost.Task;

    public static async ValueTask<PostgresOwnership> TakeAsync(
        NpgsqlConnectionStringBuilder given, StoreOptions options, CancellationToken cancellation)
    {
        var source = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(given.ConnectionString)
        {
            Pooling = false,
            MinPoolSize = 0,
            ApplicationName = Name(options),
            CommandTimeout = AnswerSeconds,
        });
        try
        {
            var held = await ClaimAsync(source, options, former: 0, cancellation);
            // A pooler makes up the number that it tells.
            if (held.Backend != held.Connection.ProcessID)
                Logs.PoolerBetween(options.Logger, DatabaseUrl.Redact(options.DatabaseUrl));
            var ownership = new PostgresOwnership(source, options, held);
            ownership._watch = Task.Run(ownership.WatchAsync, CancellationToken.None);
            return ownership;
        }
        catch
        {
            await source.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watch;
        await _held.Connection.DisposeAsync();
        await _source.DisposeAsync();
        _stop.Dispose();
    }

    private static string Name(StoreOptions options) => Owner.Shorten(Owner.Myself(options), NameLengthMax);

    private static async Task<Held> ClaimAsync(
        NpgsqlDataSource source, StoreOptions options, int former, CancellationToken cancellation)
    {
        var connection = await source.OpenConnectionAsync(cancellation);
        try
        {
            await using var session = new NpgsqlCommand(Session, connection);
            await session.ExecuteNonQueryAsync(cancellation);
            await using var take = new NpgsqlCommand(Take, connection);
            var isTaken = (bool)(await take.ExecuteScalarAsync(cancellation))!;
            var (backend, name) = await HolderAsync(connection, cancellation);
            if (isTaken)
                return new Held(connection, backend);
            // The server has not noticed that a connection of ours is gone.
            if (backend == former && name == Name(options))
            {
                await using var end = new NpgsqlCommand($"SELECT pg_terminate_backend({former})", connection);
                await end.ExecuteNonQueryAsync(cancellation);
                throw new TimeoutException("a session of our own still holds the lock");
            }
            throw new DatabaseOwnedException(options, name);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    private static async Task<(int Backend, string Name)> HolderAsync(
        NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var ask = new NpgsqlCommand(Holder, connection);
        await using var reader = await ask.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation) ? (reader.GetInt32(0), reader.GetString(1)) : (0, "");
    }

    private async Task WatchAsync()
    {
        try
        {
            while (!_lost.Task.IsCompleted)
            {
                try
                {
                    // Returns at once when the connection ends.
                    await _held.Connection.WaitAsync(LookEvery, _stop.Token);
                    if ((await HolderAsync(_held.Connection, _stop.Token)).Backend != _held.Backend)
                        _lost.TrySetResult(Moved);
                }
                // Whatever the driver says of a connection that is gone.
                catch (Exception e) when (!_stop.IsCancellationRequested)
                {
                    Logs.OwnershipLost(_options.Logger, DatabaseUrl.Redact(_options.DatabaseUrl), e.Message);
                    await _held.Connection.DisposeAsync();
                    await TakeAgainAsync();
                }
            }
        }
        catch (Exception) when (_stop.IsCancellationRequested)
        {
        }
    }

    private string Moved =>
        $"the lock on the database {DatabaseUrl.Redact(_options.DatabaseUrl)} has another session than the connection "
        + "that took it: a pooler between must pool sessions and not transactions, or be left out";

    private async Task TakeAgainAsync()
    {
        var backoff = new Backoff(_options);
        while (true)
        {
            try
            {
                _held = await ClaimAsync(_source, _options, _held.Backend, _stop.Token);
                Logs.OwnershipBack(_options.Logger, DatabaseUrl.Redact(_options.DatabaseUrl));
                return;
            }
            catch (DatabaseOwnedException e)
            {
                _lost.TrySetResult(e.Message);
                return;
            }
            catch (Exception) when (!_stop.IsCancellationRequested)
            {
                await backoff.PauseAsync(_stop.Token);
            }
        }
    }

    /// <summary>The connection and the number of its session, which has the lock.</summary>
    private readonly record struct Held(NpgsqlConnection Connection, int Backend);
}
