using Runtara.Testing.Postgres;

namespace Runtara.EndToEnd.Tests.Harness;

/// <summary>The databases that a daemon can have; every test of what is stored runs on each.</summary>
public sealed class Databases : IAsyncLifetime
{
    private static readonly string[] All = ["SQLite", "PostgreSQL"];
    private readonly Lazy<Task<PostgresServer>> _server = new(PostgresServer.StartAsync);

    /// <summary>Their names, for theories.</summary>
    public static TheoryData<string> Names => [.. All];

    /// <summary>A new, empty database; null is SQLite in the daemon's data directory.</summary>
    internal async Task<string?> NewAsync(string name) =>
        name == "SQLite" ? null : await (await _server.Value).CreateDatabaseAsync();

    /// <summary>Runs a test that is mostly waiting on all of them at once.</summary>
    internal Task EachAsync(Func<string?, Task> test) => Task.WhenAll(All.Select(async name =>
    {
        try
        {
            await test(await NewAsync(name));
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"on {name}: {e.Message}", e);
        }
    }));

    /// <inheritdoc />
    public Task InitializeAsync() => Task.CompletedTask;

    /// <inheritdoc />
    public async Task DisposeAsync()
    {
        if (_server.IsValueCreated)
            await (await _server.Value).DisposeAsync();
    }
}
