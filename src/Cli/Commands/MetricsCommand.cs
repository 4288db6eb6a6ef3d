using System.CommandLine;
using System.Globalization;
using Runtara.Client;
using Spectre.Console;

namespace Runtara.Cli.Commands;

internal static class MetricsCommand
{
    internal static Command Create(Cli cli)
    {
        var tenant = new Option<string>("--tenant") { Description = "Owner of the instances.", Required = true };
        var since = TimeOption.Create("--since", "Ended then or later; default 24 hours before the end");
        var until = TimeOption.Create("--until", "Ended before; default now");
        var daily = new Option<bool>("--daily") { Description = "By the day in UTC instead of by the hour." };
        var command = new Command("metrics", "Counts a tenant's ended instances, by the hour or day.")
        {
            tenant, since, until, daily,
        };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var query = new MetricsQuery(parsed.GetRequiredValue(tenant))
            {
                StartTime = parsed.GetValue(since),
                EndTime = parsed.GetValue(until),
                Granularity = parsed.GetValue(daily) ? MetricsGranularity.Daily : MetricsGranularity.Hourly,
            };
            output.Print(await client.GetTenantMetricsAsync(query, ct), Json.Readable.TenantMetrics, Picture);
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static Table Picture(TenantMetrics metrics)
    {
        var table = Output.Table(
            "from", "ended", "completed", "failed", "cancelled", "success", "mean s", "min s", "max s", "mean MiB",
            "max MiB");
        foreach (var b in metrics.Buckets)
        {
            table.AddRow(
                Output.Cell(Output.Time(b.BucketTime)), Number(b.InvocationCount), Number(b.SuccessCount),
                Number(b.FailureCount), Number(b.CancelledCount), Number(b.SuccessRatePercent, "0.0' %'"),
                Number(b.AvgDurationSeconds, "0.000"), Number(b.MinDurationSeconds, "0.000"),
                Number(b.MaxDurationSeconds, "0.000"), Number(b.AvgMemoryBytes / 1048576.0, "0.0"),
                Number(b.MaxMemoryBytes / 1048576.0, "0.0"));
        }

        var total = metrics.Buckets.Sum(b => b.InvocationCount);
        return table.Caption($"{total} ended from {Output.Time(metrics.StartTime)} to {Output.Time(metrics.EndTime)}");
    }

    private static Text Number(double? value, string format = "0") =>
        new(value?.ToString(format, CultureInfo.InvariantCulture) ?? "");
}
