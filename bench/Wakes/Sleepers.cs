using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Globalization;
using Akka.Actor;
using Akka.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Persistence;

namespace Runtara.Bench.Wakes;

/// <summary>
/// Instances that fall asleep for different times, and are due evenly spread. Their workflow is played by the runner:
/// it registers, sleeps and ends when it is stopped for that. A wake counts when the instance, recovered and its wake
/// committed, asks for a place to run again.
/// </summary>
internal sealed class Sleepers
{
    private const int StartsAtOnce = 64;
    private static readonly TenantId Tenant = new("bench");
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly ExitReport Terminated = new(null, 15, false, "", null, null, null);

    private readonly ConcurrentDictionary<string, DateTimeOffset> _due = new();
    private readonly ConcurrentDictionary<string, double> _late = new();
    private readonly DateTimeOffset _firstDue;
    private readonly int _rate;
    private int _asleep;
    private int _twice;

    private Sleepers(DateTimeOffset firstDue, int rate) => (_firstDue, _rate) = (firstDue, rate);

    /// <summary>One line of the table.</summary>
    public static async Task<string> RowAsync(string label, string url, string directory, int count, int rate)
    {
        await using var store = await Store.OpenAsync(
            new StoreOptions { DatabaseUrl = url, DataDirectory = directory }, default);
        var image = await RegisterAsync(store);
        // Falling asleep costs several commits.
        var sleepers = new Sleepers(Now + TimeSpan.FromSeconds(15 + (count / 400.0)), rate);
        using var host = ActorsHost.Build(
            store, new InstanceSettings(), region => Props.Create(() => new Player(region, sleepers)));
        await host.StartAsync();
        var region = await host.Services.GetRequiredService<IRequiredActor<InstanceRegion>>().GetAsync();
        await Parallel.ForAsync(
            0, count, new ParallelOptions { MaxDegreeOfParallelism = StartsAtOnce }, async (i, _) =>
                await region.Ask<InstanceReply.Accepted>(
                    new InstanceCommand.Start(
                        new InstanceId(i.ToString(CultureInfo.InvariantCulture)), Tenant, image.Id, image.Name,
                        image.Sha256, default, TimeSpan.FromHours(1), ImmutableSortedDictionary<string, string>.Empty),
                    Patience));
        await UntilAsync(() => sleepers._asleep == count, "all sleep");
        if (Now >= sleepers._firstDue)
            throw new InvalidOperationException("the first is due before the last one sleeps: take fewer");
        await UntilAsync(() => sleepers._late.Count == count, "all are awake");
        await host.StopAsync();
        return sleepers.ToRow(label);
    }

    private static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    private DateTimeOffset DueOf(InstanceId instance) =>
        _firstDue + TimeSpan.FromSeconds(int.Parse(instance.Value, CultureInfo.InvariantCulture) / (double)_rate);

    private string ToRow(string label)
    {
        var sorted = _late.Values.Order().ToList();
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {label} | {sorted.Count:N0} | {At(0.5):0.0} | {At(0.9):0.0} | {At(0.99):0.0} | {sorted[^1]:0.0} | "
            + $"{_twice} |");

        double At(double share) => sorted[(int)Math.Ceiling(share * sorted.Count) - 1];
    }

    private static async Task<Image> RegisterAsync(Store store)
    {
        await using var upload = await store.Images.BeginUploadAsync(default);
        await upload.WriteAsync(new byte[] { 1 }, default);
        return await upload.CommitAsync(new ImageRegistration(Tenant, "sleeper", null, RunnerType.Oci, null), default);
    }

    private static async Task UntilAsync(Func<bool> condition, string what)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        using var deadline = new CancellationTokenSource(Patience);
        while (!condition())
        {
            if (deadline.IsCancellationRequested)
                throw new TimeoutException($"not within {Patience}: {what}");
            await timer.WaitForNextTickAsync();
        }
    }

    private sealed class Player(IActorRef region, Sleepers sleepers) : UntypedActor
    {
        protected override void OnReceive(object message)
        {
            switch (message)
            {
                case RunnerCommand.RequestSlot { Attempt.Number: 1 } first:
                    region.Tell(new InstanceCommand.SlotGranted(first.Instance, first.Attempt));
                    break;
                case RunnerCommand.RequestSlot woken:
                    var late = (Now - sleepers._due[woken.Instance.Value]).TotalMilliseconds;
                    if (!sleepers._late.TryAdd(woken.Instance.Value, late))
                        Interlocked.Increment(ref sleepers._twice);
                    break;
                case RunnerCommand.Launch launch:
                    Play(launch.Instance, launch.Attempt);
                    break;
                case InstanceReply.SleepUntil asleep:
                    // The sender is the instance.
                    sleepers._due[Sender.Path.Name] = asleep.WakeAt;
                    break;
                case RunnerCommand.Stop stop:
                    region.Tell(new InstanceCommand.ProcessExited(stop.Instance, stop.Attempt, Terminated));
                    break;
                case RunnerCommand.Forget:
                    Interlocked.Increment(ref sleepers._asleep);
                    break;
            }
        }

        private void Play(InstanceId instance, Attempt attempt)
        {
            var duration = sleepers.DueOf(instance) - Now;
            region.Tell(new InstanceCommand.Register(instance, Tenant, null, attempt));
            region.Tell(new InstanceCommand.Sleep(instance, "nap", duration, attempt));
        }
    }
}
