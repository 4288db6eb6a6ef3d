using System.Diagnostics;
using System.Globalization;

namespace Runtara.Bench.Checkpoints;

/// <summary>What was measured; <paramref name="Ticks"/> are the latencies in order, the shortest first.</summary>
internal sealed record Result(LoadOptions Options, long[] Ticks, TimeSpan Took, CpuSample Before, CpuSample After)
{
    /// <summary>For people.</summary>
    public string ToText() => string.Create(
        CultureInfo.InvariantCulture,
        $"""
         {Door}, {Options.Instances} instances, {Options.Bytes} bytes, {Took.TotalSeconds:0.0} s
           rate      {Rate:N0}/s
           p50       {Quantile(0.50)} ms
           p90       {Quantile(0.90)} ms
           p99       {Quantile(0.99)} ms
           max       {Quantile(1)} ms
           client    {Cpu(Before.Client, After.Client)} µs CPU per request
           daemon    {Cpu(Before.Daemon, After.Daemon)} µs CPU per request
           database  {Cpu(Before.Database, After.Database)} µs CPU per request
         """);

    /// <summary>A row of the table in the README.</summary>
    public string ToRow() => string.Create(
        CultureInfo.InvariantCulture,
        $"| {Door} | {Options.Instances} | {Rate:N0} | {Quantile(0.50)} | {Quantile(0.90)} | {Quantile(0.99)} "
        + $"| {Quantile(1)} | {Cpu(Before.Client, After.Client)} | {Cpu(Before.Daemon, After.Daemon)} "
        + $"| {Cpu(Before.Database, After.Database)} |");

    private string Door => Options.Door == DoorKind.Quic ? "QUIC" : "unix socket";

    private double Rate => Ticks.Length / Took.TotalSeconds;

    private string Quantile(double share)
    {
        if (Ticks.Length == 0)
            return "–";
        var index = Math.Clamp((int)Math.Ceiling(share * Ticks.Length) - 1, 0, Ticks.Length - 1);
        return (Ticks[index] * 1000.0 / Stopwatch.Frequency).ToString("0.00", CultureInfo.InvariantCulture);
    }

    private string Cpu(double? before, double? after) => Ticks.Length > 0 && after - before is { } seconds
        ? (seconds * 1e6 / Ticks.Length).ToString("0", CultureInfo.InvariantCulture)
        : "–";
}
