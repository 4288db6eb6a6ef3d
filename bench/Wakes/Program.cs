using System.Globalization;
using Runtara.Bench.Wakes;
using Runtara.Testing.Postgres;

// How late sleepers are woken when many are due each second: a Markdown table.
var sleepers = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 20_000;
var rate = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 1000;

Console.WriteLine($"{Environment.ProcessorCount} cores, {sleepers:N0} sleepers, {rate:N0} due each second\n");
Console.WriteLine("| Database | Woken | p50 ms late | p90 ms | p99 ms | max ms | Asked twice |");
Console.WriteLine("|---|---|---|---|---|---|---|");
var directory = Directory.CreateTempSubdirectory("runtara-wakes-").FullName;
try
{
    Console.WriteLine(await Sleepers.RowAsync("SQLite", $"sqlite:{directory}/store.db", directory, sleepers, rate));
    await using var server = await PostgresServer.StartAsync();
    var url = await server.CreateDatabaseAsync();
    Console.WriteLine(await Sleepers.RowAsync("PostgreSQL", url, directory, sleepers, rate));
}
finally
{
    Directory.Delete(directory, recursive: true);
}
