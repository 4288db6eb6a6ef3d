using System.Globalization;
using Runtara.Actors.Instances;
using Runtara.Testing.Postgres;

namespace Runtara.Bench.Lists;

/// <summary>
/// Instances of some tenants in all states, as months of work leave them: most completed, with input and output.
/// </summary>
internal static class Fill
{
    public const int Tenants = 20;
    private const int Names = 10;

    /// <summary>When the newest instance was started: one a minute.</summary>
    public static DateTimeOffset End { get; } = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);

    public static string Tenant(int n) => string.Create(CultureInfo.InvariantCulture, $"tenant-{n:00}");

    public static async Task RunAsync(PostgresServer server, string database, int instances)
    {
        var last = (End - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
        await server.ExecuteAsync(
            database,
            string.Create(
                CultureInfo.InvariantCulture,
                $"""
                INSERT INTO instance (instance_id, tenant_id, status, shard, attempt, max_retries, image_id, image_name,
                  checkpoint_id, timeout_ms, created_at, started_at, finished_at, wake_at, memory_peak_bytes, error,
                  input, output)
                SELECT md5(n::text)::uuid, 'tenant-' || lpad((n % {Tenants})::text, 2, '0'), status, n % 64, 1, 3,
                  md5((n / {Tenants} % {Names})::text)::uuid, 'shop/order-' || n / {Tenants} % {Names},
                  'step-' || n % 12, 300000, at,
                  CASE WHEN status <> 1 THEN at + 200000 END, CASE WHEN status > 3 THEN at + 30000000 END,
                  CASE WHEN status = 3 THEN at + 86400000000 END, 20000000 + n % 1000,
                  CASE WHEN status = 5 THEN 'card refused' END,
                  convert_to('{OpenBrace}"order":"' || repeat(md5(n::text), 5) || '"{CloseBrace}', 'UTF8'),
                  CASE WHEN status = 4 THEN convert_to(repeat(md5(n::text), 6), 'UTF8') END
                FROM (
                  SELECT n, {last} - ({instances} - n) * 60000000 AS at,
                    CASE WHEN dice < 80 THEN {(int)InstanceStatus.Completed}
                      WHEN dice < 88 THEN {(int)InstanceStatus.Failed}
                      WHEN dice < 92 THEN {(int)InstanceStatus.Cancelled}
                      WHEN dice < 97 THEN {(int)InstanceStatus.Suspended}
                      WHEN dice < 99 THEN {(int)InstanceStatus.Running}
                      ELSE {(int)InstanceStatus.Pending} END AS status
                  FROM (
                    SELECT n, abs(hashtext(n::text)) % 100 AS dice
                    FROM generate_series(1::bigint, {instances}) AS n) AS thrown) AS row
                """));
    }

    /// <summary>Two instances of a hundred, spread over the table, change their status and back.</summary>
    public static async Task ChangeAsync(PostgresServer server, string database)
    {
        foreach (var step in new[] { 1, -1 })
        {
            await server.ExecuteAsync(
                database,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"UPDATE instance SET status = status + {step} WHERE abs(hashtext(instance_id)) % 50 = 0"));
        }
    }

    /// <summary>What each index takes on the disk, as a Markdown table.</summary>
    public static async Task<string> SizesAsync(PostgresServer server, string database) => (string)(
        await server.ExecuteAsync(
            database,
            """
            SELECT E'| Relation | Size |\n|---|---|\n' || string_agg('| `' || name || '` | ' || size || ' |', E'\n')
            FROM (
              SELECT relname AS name, pg_size_pretty(pg_relation_size(oid)) AS size FROM pg_class
              WHERE oid = 'instance'::regclass
                OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'instance'::regclass)
              ORDER BY pg_relation_size(oid) DESC) AS s
            """))!;

    private const string OpenBrace = "{";
    private const string CloseBrace = "}";
}
