using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Runtara.Client;

namespace Runtara.Bench.Starts;

/// <summary>
/// Starts and bare runs in turns, in small rounds, so that both see the same machine; the first do not count. A start
/// is timed twice: by the client, from its request to the first answer that says completed; and by the daemon, from the
/// creation to the finish that it journaled. The client first asks after as long as the last start took, and then every
/// 50 ms: each question costs CPU time that a bare run does not pay.
/// </summary>
internal sealed class Comparison(string server, string data, string image, string[] crun, int daemon)
{
    private const string Tenant = "bench";
    private const int Round = 40;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);
    private int _number;
    private double _lastMilliseconds = Poll.TotalMilliseconds;

    /// <summary>One line of the table; throws when an instance does not complete.</summary>
    public async Task<string> RowAsync(
        string label, int before, int count, int parallel, CancellationToken cancellation)
    {
        await using var client = await RuntaraClient.ConnectAsync(
            new RuntaraClientOptions { Server = server, SkipCertificateVerification = true }, cancellation);
        await using var file = File.OpenRead(image);
        var id = await client.RegisterImageAsync(new ImageUpload(Tenant, "instant"), file, ct: cancellation);
        var warm = await StartAsync(client, id, cancellation);
        var bundle = Path.Combine(data, Tenant, "runs", warm.Instance);
        ConcurrentBag<Sample> started = [];
        ConcurrentBag<double> bare = [];
        long daemonTicks = 0, startTicks = 0, bareTicks = 0;
        for (var done = -before / Round * Round; done < count; done += Round)
        {
            var round = Enumerable.Range(0, Math.Min(Round, count - done)).ToList();
            if (done == 0)
            {
                started.Clear();
                bare.Clear();
                (daemonTicks, startTicks, bareTicks) = (0, 0, 0);
            }
            var options = new ParallelOptions
            {
                MaxDegreeOfParallelism = parallel, CancellationToken = cancellation,
            };
            daemonTicks -= Ticks(daemon);
            startTicks -= MachineTicks();
            await Parallel.ForEachAsync(
                round, options, async (_, token) => started.Add(await StartAsync(client, id, token)));
            startTicks += MachineTicks();
            daemonTicks += Ticks(daemon);
            bareTicks -= MachineTicks();
            await Parallel.ForEachAsync(
                round, options, async (_, token) => bare.Add(await RunBareAsync(bundle, token)));
            bareTicks += MachineTicks();
        }
        var seen = Quantiles(started.Select(s => s.Seen));
        var journaled = Quantiles(started.Select(s => s.Journaled));
        var alone = Quantiles(bare);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {label} | {parallel} | {before} | {seen.P50:0.0} | {seen.P99:0.0} | {journaled.P50:0.0} | "
            + $"{alone.P50:0.0} | {alone.P99:0.0} | {journaled.P50 - alone.P50:0.0} | "
            + $"{daemonTicks * 10.0 / count:0.0} | {startTicks * 10.0 / count:0.0} | {bareTicks * 10.0 / count:0.0} |");
    }

    private async Task<Sample> StartAsync(RuntaraClient client, string imageId, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        var id = await client.StartInstanceAsync(new InstanceStart(imageId, Tenant), cancellation);
        await Task.Delay(TimeSpan.FromMilliseconds(Volatile.Read(ref _lastMilliseconds)), cancellation);
        using var timer = new PeriodicTimer(Poll);
        while (true)
        {
            var info = await client.GetInstanceStatusAsync(id, cancellation);
            if (info.Status == InstanceStatus.Completed)
            {
                var journaled = (info.FinishedAt!.Value - info.CreatedAt).TotalMilliseconds;
                Volatile.Write(ref _lastMilliseconds, journaled);
                return new Sample(id, clock.Elapsed.TotalMilliseconds, journaled);
            }
            if (info.Status.IsFinal())
                throw new InvalidOperationException($"{id} is {info.Status}: {info.Error}");
            await timer.WaitForNextTickAsync(cancellation);
        }
    }

    private async Task<double> RunBareAsync(string bundle, CancellationToken cancellation)
    {
        var name = $"bare-{Interlocked.Increment(ref _number)}";
        string[] arguments =
        [
            .. crun[1..], "run", "--bundle", bundle, "--config", Path.Combine(bundle, "config.json"), name,
        ];
        var clock = Stopwatch.StartNew();
        using var process = Process.Start(crun[0], arguments);
        await process.WaitForExitAsync(cancellation);
        return process.ExitCode == 0
            ? clock.Elapsed.TotalMilliseconds
            : throw new InvalidOperationException($"{name} ended with {process.ExitCode}");
    }

    // User and system time of the process without its children, in hundredths of a second (proc(5)).
    private static long Ticks(int process)
    {
        var text = File.ReadAllText($"/proc/{process}/stat");
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        return fields[11..13].Sum(ticks => long.Parse(ticks, CultureInfo.InvariantCulture));
    }

    // What all processors did in all processes since the machine was started, in hundredths of a second (proc(5)):
    // user, nice, system, and behind idleness and waiting, interrupts of both kinds.
    private static long MachineTicks()
    {
        using var reader = new StreamReader("/proc/stat");
        var fields = reader.ReadLine()!.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields[1..4].Concat(fields[6..8]).Sum(ticks => long.Parse(ticks, CultureInfo.InvariantCulture));
    }

    private static (double P50, double P99) Quantiles(IEnumerable<double> values)
    {
        var sorted = values.Order().ToList();
        return (At(0.5), At(0.99));

        double At(double share) => sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Count) - 1)];
    }

    private sealed record Sample(string Instance, double Seen, double Journaled);
}
