using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Runtara.Testing.Postgres;

namespace Runtara.Persistence.Tests;

/// <summary>A database for one test class, and stores on it.</summary>
public abstract class StoreFixture : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("runtara-store-").FullName;

    public StoreOptions Options { get; private set; } = null!;

    public Store Store { get; private set; } = null!;

    public string DataDirectory => _directory;

    /// <summary>What the store logged.</summary>
    public RecordingLogger Log { get; } = new();

    public async Task InitializeAsync()
    {
        Options = Configure(
            new StoreOptions
            {
                DatabaseUrl = await CreateDatabaseAsync(), DataDirectory = _directory, Logger = Log,
            });
        Store = await Store.OpenAsync(Options, CancellationToken.None);
    }

    public async Task DisposeAsync()
    {
        await Store.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>Runs a statement beside the store and returns its first value.</summary>
    public abstract Task<object?> ExecuteAsync(string sql);

    protected abstract Task<string> CreateDatabaseAsync();

    protected virtual StoreOptions Configure(StoreOptions options) => options;
}

public sealed class RecordingLogger : ILogger
{
    private readonly ConcurrentQueue<string> _lines = [];

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter) => _lines.Enqueue($"{logLevel}: {formatter(state, exception)}");

    /// <summary>The lines that have this in them.</summary>
    public IReadOnlyList<string> LinesOf(string text) =>
        [.. _lines.Where(l => l.Contains(text, StringComparison.Ordinal))];
}

public class SqliteFixture : StoreFixture
{
    private string Path => System.IO.Path.Combine(DataDirectory, "store.db");

    public override Task<object?> ExecuteAsync(string sql)
    {
        using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={Path}");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return Task.FromResult(command.ExecuteScalar());
    }

    protected override Task<string> CreateDatabaseAsync() => Task.FromResult($"sqlite:{Path}");
}

public class PostgresFixture(PostgresServerFixture server) : StoreFixture
{
    public PostgresServer Server => server.Server;

    public string Database => new Uri(Options.DatabaseUrl).AbsolutePath.TrimStart('/');

    public override Task<object?> ExecuteAsync(string sql) => server.Server.ExecuteAsync(Database, sql);

    protected override Task<string> CreateDatabaseAsync() => server.Server.CreateDatabaseAsync();
}

public sealed class PostgresServerFixture : IAsyncLifetime
{
    public PostgresServer Server { get; private set; } = null!;

    public async Task InitializeAsync() => Server = await PostgresServer.StartAsync();

    public async Task DisposeAsync() => await Server.DisposeAsync();
}

[CollectionDefinition(Name)]
public sealed class PostgresCollection : ICollectionFixture<PostgresServerFixture>
{
    public const string Name = "postgres";
}
