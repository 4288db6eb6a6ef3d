using System.Globalization;
using System.Text;
using Runtara.Testing.Postgres;

namespace Runtara.Bench.Lists;

/// <summary>
/// What indexes cost when rows are written: lives of instances are written with several sets of them. A life is an
/// insert, six changes of status or times, and three checkpoints.
/// </summary>
internal static class Price
{
    private const int Lives = 5_000;
    private const int Batch = 250;

    private static readonly string[] Steps =
    [
        "status = 2, attempt = 1", "started_at = 1", "checkpoint_id = 'a'", "checkpoint_id = 'b'",
        "status = 3, wake_at = 5", "status = 1, wake_at = NULL", "status = 2, attempt = 2", "checkpoint_id = 'c'",
        "status = 4, finished_at = 9",
    ];

    private const int Rounds = 5;

    private const string Before =
        "DROP INDEX instance_status_created; DROP INDEX instance_image_name; DROP INDEX instance_tenant_finished; "
        + "CREATE INDEX instance_tenant_image ON instance (tenant_id, image_name)";

    private static readonly (string Name, string Do, string Undo)[] Sets =
    [
        ("all", "SELECT 1", "SELECT 1"),
        ("those before: none of the three, `(tenant_id, image_name)`", Before,
            "DROP INDEX instance_tenant_image; " + Status + "; " + Image + "; " + Finished),
        ("without `instance_status_created`", "DROP INDEX instance_status_created", Status),
        ("without `instance_image_name`", "DROP INDEX instance_image_name", Image),
        ("without `instance_tenant_finished`", "DROP INDEX instance_tenant_finished", Finished),
    ];

    private const string Status =
        "CREATE INDEX instance_status_created ON instance (status, created_at DESC, instance_id)";

    private const string Image =
        "CREATE INDEX instance_image_name ON instance (image_name, tenant_id, created_at DESC, instance_id)";

    private const string Finished =
        "CREATE INDEX instance_tenant_finished ON instance (tenant_id, finished_at) WHERE finished_at IS NOT NULL";

    public static async Task<string> OfIndexesAsync(PostgresServer server, string database)
    {
        // How many whole pages are logged depends on when the server's checkpoints fell; this counts what they are for.
        await server.ExecuteAsync(database, "ALTER SYSTEM SET full_page_writes = off");
        await server.ExecuteAsync(database, "ALTER SYSTEM SET autovacuum = off");
        await server.ExecuteAsync(database, "SELECT pg_reload_conf()");
        var run = 0;
        await WriteAsync(server, database, run);
        var seen = Sets.Select(_ => new List<(double Wal, double Micros)>()).ToArray();
        for (var round = 0; round < Rounds; round++)
        {
            for (var i = 0; i < Sets.Length; i++)
            {
                await server.ExecuteAsync(database, Sets[i].Do);
                seen[i].Add(await MeasureAsync(server, database, ++run));
                await server.ExecuteAsync(database, Sets[i].Undo);
            }
        }
        var text = new StringBuilder(
            "| Indexes | WAL bytes a life: median (least to most) | µs a life: median (least to most) |\n"
            + "|---|---|---|\n");
        for (var i = 0; i < Sets.Length; i++)
        {
            var (wal, micros) = (Spread(seen[i].Select(s => s.Wal)), Spread(seen[i].Select(s => s.Micros)));
            text.Append(CultureInfo.InvariantCulture, $"| {Sets[i].Name} | {wal} | {micros} |\n");
        }
        return text.ToString();
    }

    // An index that was just built splits its pages at first: so all of them are.
    private static async Task<(double Wal, double Micros)> MeasureAsync(
        PostgresServer server, string database, int run)
    {
        await server.ExecuteAsync(database, "VACUUM instance");
        await server.ExecuteAsync(database, "REINDEX TABLE instance");
        var before = await WalAsync(server, database);
        var start = TimeProvider.System.GetTimestamp();
        await WriteAsync(server, database, run);
        var micros = TimeProvider.System.GetElapsedTime(start).TotalMicroseconds / Lives;
        return ((await WalAsync(server, database) - before) / (double)Lives, micros);
    }

    private static string Spread(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return string.Create(
            CultureInfo.InvariantCulture, $"{sorted[sorted.Length / 2]:N0} ({sorted[0]:N0} to {sorted[^1]:N0})");
    }

    // Of one instance after the other as the daemon does it, but within the server, so that little else is measured.
    private static Task WriteAsync(PostgresServer server, string database, int run) => server.ExecuteAsync(
        database,
        string.Create(
            CultureInfo.InvariantCulture,
            $"""
            DO $$ BEGIN
              FOR lo IN 1..{Lives} BY {Batch} LOOP
                INSERT INTO instance (instance_id, tenant_id, status, shard, max_retries, image_id, image_name,
                  created_at)
                SELECT md5('{run} ' || n)::uuid, 'tenant-' || n % 20, 1, n % 64, 3, 'image', 'shop/order-' || n % 10,
                  {Begin(run)} + n
                FROM generate_series(lo, lo + {Batch - 1}) AS n;
                COMMIT;
                {string.Join('\n', Steps.Select(change => Step(change, run)))}
              END LOOP;
            END $$
            """));

    private static string Step(string change, int run) => string.Create(
        CultureInfo.InvariantCulture,
        $"UPDATE instance SET {change} WHERE created_at >= {Begin(run)} + lo AND finished_at IS NULL; COMMIT;");

    private static long Begin(int run) => 1_800_000_000_000_000L + run * Lives;

    private static async Task<long> WalAsync(PostgresServer server, string database) =>
        (long)(decimal)(await server.ExecuteAsync(database, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))!;
}
