using System.Globalization;
using Runtara.Actors.Instances;
using Runtara.Bench.Lists;
using Runtara.Persistence;
using Runtara.Testing.Postgres;

// Lists over many instances on a PostgreSQL of its own: a Markdown table of times, then the plans of the same queries.
const int Rounds = 20;

var instances = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 100_000;
var server = await PostgresServer.StartAsync();
await using var stopped = server;
var url = await server.CreateDatabaseAsync();
var database = new Uri(url).AbsolutePath.TrimStart('/');
var tenant = new TenantId(Fill.Tenant(7));
var deep = instances * 9 / 10;
(string Name, Func<Catalog, Task<int>> Ask)[] cases =
[
    ("first page", c => ListAsync(c, new InstanceFilter())),
    ($"deep page (offset {deep:N0})", c => ListAsync(c, new InstanceFilter { Offset = deep })),
    ($"page in the middle (offset {instances / 2:N0})", c => ListAsync(
        c, new InstanceFilter { Offset = instances / 2 })),
    ("count alone", c => ListAsync(c, new InstanceFilter { Limit = 0 })),
    ("status completed", c => ListAsync(c, new InstanceFilter { Status = InstanceStatus.Completed })),
    ("status completed, deep page", c => ListAsync(
        c, new InstanceFilter { Status = InstanceStatus.Completed, Offset = deep * 8 / 10 })),
    ("status failed", c => ListAsync(c, new InstanceFilter { Status = InstanceStatus.Failed })),
    ("one tenant", c => ListAsync(c, new InstanceFilter { Tenant = tenant })),
    ("one tenant, status failed", c => ListAsync(
        c, new InstanceFilter { Tenant = tenant, Status = InstanceStatus.Failed })),
    ("image-name prefix, 1 of 10 names", c => ListAsync(c, new InstanceFilter { ImageNamePrefix = "shop/order-3" })),
    ("image-name prefix, deep page", c => ListAsync(
        c, new InstanceFilter { ImageNamePrefix = "shop/order-3", Offset = deep / 10 })),
    ("image-name prefix, every name", c => ListAsync(c, new InstanceFilter { ImageNamePrefix = "shop/" })),
    ("image-name prefix and tenant", c => ListAsync(
        c, new InstanceFilter { Tenant = tenant, ImageNamePrefix = "shop/order-3" })),
    ("oldest first", c => ListAsync(c, new InstanceFilter { Order = InstanceOrder.CreatedAtAscending })),
    ("last finished first", c => ListAsync(c, new InstanceFilter { Order = InstanceOrder.FinishedAtDescending })),
    ("active instances (health)", async c => await c.CountActiveAsync(default)),
    ("metrics of a tenant, 31 days", async c => (await c.ReadMetricsAsync(
        new MetricsQuery(tenant, Fill.End.AddDays(-31), Fill.End, IsDaily: true), default)).Sum(b => b.Completed)),
];

await using (var store = await OpenAsync(url))
{
    await Fill.RunAsync(server, database, instances);
    Console.WriteLine($"{instances:N0} instances, {Fill.Tenants} tenants, {Environment.ProcessorCount} cores, "
        + $"PostgreSQL {await server.ExecuteAsync(database, "SHOW server_version")}; {Rounds} rounds each\n");
    await server.ExecuteAsync(database, "VACUUM (ANALYZE) instance");
    var vacuumed = await MeasureAsync(store.Catalog);
    await Fill.ChangeAsync(server, database);
    var changed = await MeasureAsync(store.Catalog);
    Console.WriteLine("| List | Matches | min ms | p50 ms | max ms | p50 ms, 2 % changed since the vacuum |");
    Console.WriteLine("|---|---|---|---|---|---|");
    foreach (var (name, _) in cases)
    {
        var (matches, min, p50, max) = vacuumed[name];
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"| {name} | {matches:N0} | {min:0.0} | {p50:0.0} | {max:0.0} | {changed[name].P50:0.0} |"));
    }
    Console.WriteLine();
    Console.WriteLine(await Fill.SizesAsync(server, database));
}
await server.ExecuteAsync(database, "VACUUM (ANALYZE) instance");
await PrintPlansAsync();
Console.WriteLine(await Price.OfIndexesAsync(server, database));

Task<Store> OpenAsync(string at) => Store.OpenAsync(
    new StoreOptions { DatabaseUrl = at, DataDirectory = Path.GetTempPath() }, default).AsTask();

static async Task<int> ListAsync(Catalog catalog, InstanceFilter filter) =>
    (await catalog.ListInstancesAsync(filter, default)).TotalCount;

async Task<Dictionary<string, (int Matches, double Min, double P50, double Max)>> MeasureAsync(Catalog catalog)
{
    var results = new Dictionary<string, (int, double, double, double)>();
    foreach (var (name, ask) in cases)
    {
        var matches = await ask(catalog);
        var times = new double[Rounds];
        for (var i = 0; i < Rounds; i++)
        {
            var start = TimeProvider.System.GetTimestamp();
            await ask(catalog);
            times[i] = TimeProvider.System.GetElapsedTime(start).TotalMilliseconds;
        }
        Array.Sort(times);
        results[name] = (matches, times[0], times[Rounds / 2], times[^1]);
    }
    return results;
}

// The plans are those of the queries that the catalog sent, as the server logs them.
async Task PrintPlansAsync()
{
    const string Explain = "-c session_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 "
        + "-c auto_explain.log_analyze=on -c auto_explain.log_buffers=on -c auto_explain.log_timing=off";
    await using var store = await OpenAsync($"{url}?Options={Uri.EscapeDataString(Explain)}");
    foreach (var (name, ask) in cases)
    {
        var before = await ReadLogAsync();
        await ask(store.Catalog);
        Console.WriteLine($"### {name}\n");
        Console.WriteLine(Plans.Of((await ReadLogAsync())[before.Length..]));
    }
}

async Task<string> ReadLogAsync() => (string)(await server.ExecuteAsync(
    database, "SELECT pg_read_file(current_setting('data_directory') || '/../log')"))!;
