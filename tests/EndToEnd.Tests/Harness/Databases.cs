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
    internal Task EachAsync(Func<string?, Task> test) =>
        AtOnceAsync(All, async name => await test(await NewAsync(name)));

    /// <summary>Runs a test in several ways at once; a failure says in which.</summary>
    internal static Task AtOnceAsync(string[] ways, Func<string, Task> test) => Task.WhenAll(ways.Select(async way =>
    {
        try
        {
            await test(way);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{way}: {e.Message}", e);
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
