using Akka.Actor;
using Akka.Event;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Runner.Containers;
using Runtara.Runner.Files;
using Runtara.Runner.Slots;

namespace Runtara.Runner;

/// <summary>
/// The containers of this node. Takes <see cref="RunnerCommand"/> and answers the instance region with
/// <see cref="InstanceCommand.SlotGranted"/>, <see cref="InstanceCommand.LaunchFailed"/>,
/// <see cref="InstanceCommand.ProcessExited"/> and <see cref="InstanceCommand.AttemptVanished"/>. Containers outlive it
/// (D6): it serves nothing before it knows what earlier daemons left in the data directory, and takes up what runs.
/// </summary>
public sealed partial class RunnerActor : UntypedActor, IWithUnboundedStash, IWithTimers
{
    private const string VanishedReason =
        "nothing is left of the attempt: the machine was restarted, or the launch cut off";
    private static readonly TimeSpan RecoverRetry = TimeSpan.FromSeconds(5);
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly Dictionary<InstanceId, Occupant> _occupants = [];
    private readonly RunnerOptions _options;
    private readonly IActorRef _instances;
    private readonly Func<ContainerHost> _createHost;
    private readonly TimeProvider _time;
    private readonly SlotQueue _slots;
    private ContainerHost _host = null!;

    /// <summary>For <see cref="Props"/>.</summary>
    public RunnerActor(
        RunnerOptions options, IActorRef instances, IInstanceDoor door, IInstanceInputs inputs, IImageStore images,
        TimeProvider time, ILogger log)
    {
        (_options, _instances, _time) = (options, instances, time);
        _createHost = () => new ContainerHost(options, door, inputs, images, time, log);
        _slots = new SlotQueue(options.Capacity, options.SlotTimeout);
    }

    /// <inheritdoc />
    public IStash Stash { get; set; } = null!;

    /// <inheritdoc />
    public ITimerScheduler Timers { get; set; } = null!;

    private DateTimeOffset Now => _time.GetUtcNow();

    /// <summary>The runner of a node.</summary>
    /// <param name="options">Its settings.</param>
    /// <param name="instances">The shard region; it is told <see cref="InstanceCommand"/>.</param>
    /// <param name="door">What listens on the socket of a run directory.</param>
    /// <param name="inputs">Where <c>input.json</c> comes from.</param>
    /// <param name="images">Where images come from that this node has not cached.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logs">Where the lines about single containers go; null means nowhere.</param>
    public static Props Props(
        RunnerOptions options, IActorRef instances, IInstanceDoor door, IInstanceInputs inputs, IImageStore images,
        TimeProvider time, ILoggerFactory? logs = null)
    {
        var log = (ILogger?)logs?.CreateLogger("Runtara.Runner") ?? NullLogger.Instance;
        return Akka.Actor.Props.Create(() => new RunnerActor(options, instances, door, inputs, images, time, log));
    }

    /// <inheritdoc />
    protected override void PreStart()
    {
        _host = _createHost();
        if (_host.Cgroups.Manager == CgroupManager.Disabled)
            _log.Warning("memory, cpu and process limits of containers are not enforced");
        Become(Recovering);
        Recover();
    }

    /// <inheritdoc />
    protected override void PostStop()
    {
        foreach (var occupant in _occupants.Values)
        {
            if (_options.StopContainersOnExit)
                occupant.Run?.StopForGood(_options.StopGrace);
            else
                occupant.Run?.Leave();
        }
        // Containers that stop with the daemon, and doors, need no actor to get there.
        var limit = _options.StopGrace + TimeSpan.FromSeconds(15);
        var ending = _occupants.Values.Select(o => o.Ended).ToArray();
        if (!Task.WaitAll(ending, limit))
            _log.Warning("{Count} containers did not end in time", ending.Count(t => !t.IsCompleted));
    }

    /// <inheritdoc />
    protected override void OnReceive(object message)
    {
        switch (message)
        {
            case RunnerCommand.RequestSlot m:
                LookAtDisk();
                Send(_slots.Request(new SlotKey(m.Instance, m.Attempt), m.Tenant, Now));
                break;
            case RunnerCommand.ReleaseSlot m: Send(_slots.Release(new SlotKey(m.Instance, m.Attempt), Now)); break;
            case RunnerCommand.Launch m: OnLaunch(m); break;
            case RunnerCommand.Stop m: OnStop(m); break;
            case RunnerCommand.Watch m: OnWatch(m.Instance, m.Attempt); break;
            case RunnerCommand.Forget m: OnForget(m); break;
            case Started m: OnStarted(m); break;
            case Finished m: OnFinished(m); break;
            case GetRunnerStatus:
                Sender.Tell(StatusWith(LookAtDisk()));
                break;
            case Look: OnLook(); break;
            case AskAfterFound: OnAskAfterFound(); break;
            case EvictImages: OnEvictImages(); break;
            default: Unhandled(message); break;
        }
    }

    private void OnLaunch(RunnerCommand.Launch launch)
    {
        if (_occupants.TryGetValue(launch.Instance, out var occupant))
        {
            OnLaunchBehind(occupant, launch);
            return;
        }
        Launch(launch);
    }

    // One attempt at a time: a newer one waits until nothing of the older one runs.
    private void OnLaunchBehind(Occupant occupant, RunnerCommand.Launch launch)
    {
        if (launch.Attempt.CompareTo(occupant.Attempt) <= 0 || launch.Attempt == occupant.Next?.Attempt)
            return;
        if (occupant.Next is { } superseded && superseded.Attempt.CompareTo(launch.Attempt) > 0)
            return;
        if (occupant.Next is { } older)
            Refuse(older, "a newer attempt was launched");
        occupant.Next = launch;
        occupant.Run?.RequestStop(TimeSpan.Zero);
    }

    private void Launch(RunnerCommand.Launch launch)
    {
        if (!_slots.Take(new SlotKey(launch.Instance, launch.Attempt)))
        {
            if (_kept.TryGetValue(launch.Instance, out var kept) && kept.Exited.Attempt == launch.Attempt)
                _instances.Tell(kept.Exited);
            else
                Refuse(launch, "the attempt has no slot on this node, or had one for too long without a launch");
            return;
        }
        if (LookAtDisk() is { } full)
        {
            _instances.Tell(new InstanceCommand.AttemptVanished(launch.Instance, launch.Attempt, full));
            Send(_slots.Free(new SlotKey(launch.Instance, launch.Attempt), Now));
            return;
        }
        _kept.Remove(launch.Instance);
        var note = new LaunchNote(launch.Instance, launch.Tenant, launch.Attempt, launch.ImageSha256);
        var self = Self;
        var run = new ContainerRun(
            _host, note, at => self.Tell(new Started(launch.Instance, launch.Attempt, at), ActorRefs.NoSender));
        Occupy(launch.Instance, launch.Attempt, run, Task.Run(() => run.LaunchAsync(launch)));
    }

    private Occupant Occupy(InstanceId instance, Attempt attempt, ContainerRun? run, Task<InstanceCommand?> work)
    {
        work.PipeTo(Self, success: report => new Finished(instance, attempt, report));
        return _occupants[instance] = new Occupant(attempt, run, work);
    }

    private void OnStarted(Started started)
    {
        if (_occupants.TryGetValue(started.Instance, out var occupant) && occupant.Attempt == started.Attempt)
            occupant.StartedAt = started.At;
        TellStart(started.Instance, started.Attempt, started.At);
    }

    private void TellStart(InstanceId instance, Attempt attempt, DateTimeOffset at) =>
        _instances.Tell(new InstanceCommand.ContainerStarted(instance, attempt, at));

    private void OnFinished(Finished finished)
    {
        if (finished.Report is { } report)
            _instances.Tell(OrLostToDisk(report));
        if (finished.Report is InstanceCommand.ProcessExited exited)
            _kept[finished.Instance] = new Kept(exited, Now);
        Send(_slots.Free(new SlotKey(finished.Instance, finished.Attempt), Now));
        if (!_occupants.TryGetValue(finished.Instance, out var occupant) || occupant.Attempt != finished.Attempt)
            return;
        _occupants.Remove(finished.Instance);
        if (occupant.Next is { } next)
            Launch(next);
    }

    private void OnStop(RunnerCommand.Stop stop)
    {
        if (_occupants.TryGetValue(stop.Instance, out var occupant) && occupant.Attempt == stop.Attempt)
        {
            if (!occupant.IsClaimed)
                _log.Warning(FoundAndStopped, stop.Instance.Value, stop.Attempt.Number);
            occupant.IsClaimed = true;
            occupant.Run?.RequestStop(stop.Grace);
        }
        else if (occupant?.Next is { } next && next.Attempt == stop.Attempt)
        {
            occupant.Next = null;
            Refuse(next, "stopped before it was started");
        }
        else
            OnWatch(stop.Instance, stop.Attempt);
    }

    private void OnWatch(InstanceId instance, Attempt attempt)
    {
        var vanished = new InstanceCommand.AttemptVanished(instance, attempt, VanishedReason);
        if (_occupants.TryGetValue(instance, out var occupant))
        {
            occupant.IsClaimed |= occupant.Attempt == attempt;
            if (occupant.Attempt == attempt && occupant.StartedAt is { } startedAt)
                TellStart(instance, attempt, startedAt);
            // An older attempt than what runs here is certainly dead; a newer one was never launched here.
            if (occupant.Attempt.CompareTo(attempt) < 0)
                occupant.Run?.RequestStop(TimeSpan.Zero);
            if (occupant.Attempt != attempt && occupant.Next?.Attempt != attempt)
                _instances.Tell(vanished);
            return;
        }
        if (_kept.TryGetValue(instance, out var kept) && kept.Exited.Attempt == attempt)
        {
            _instances.Tell(kept.Exited);
            return;
        }
        _kept.Remove(instance);
        var host = _host;
        Occupy(instance, attempt, null, Task.Run(async () =>
        {
            await host.ClearForSureAsync(PathNames.OfContainer(instance.Value), default);
            return (InstanceCommand?)vanished;
        }));
    }

    // Nothing of it was started, and that is not the program's fault.
    private void Refuse(RunnerCommand.Launch launch, string reason)
    {
        _instances.Tell(new InstanceCommand.AttemptVanished(launch.Instance, launch.Attempt, reason));
        Send(_slots.Release(new SlotKey(launch.Instance, launch.Attempt), Now));
    }

    private void Send(IReadOnlyList<SlotKey> granted)
    {
        foreach (var key in granted)
            _instances.Tell(new InstanceCommand.SlotGranted(key.Instance, key.Attempt));
    }

    private sealed class Occupant(Attempt attempt, ContainerRun? run, Task ended)
    {
        internal Attempt Attempt => attempt;

        internal ContainerRun? Run => run;

        internal Task Ended => ended;

        internal RunnerCommand.Launch? Next { get; set; }

        internal DateTimeOffset? StartedAt { get; set; }

        /// <summary>Whether the instance knows of it: always, unless an earlier daemon launched it.</summary>
        internal bool IsClaimed { get; set; } = true;
    }

    private sealed record Started(InstanceId Instance, Attempt Attempt, DateTimeOffset At)
        : INoSerializationVerificationNeeded;

    private sealed record Finished(InstanceId Instance, Attempt Attempt, InstanceCommand? Report)
        : INoSerializationVerificationNeeded;

    private sealed record Look : INoSerializationVerificationNeeded;
}
