using Akka.Actor;
using Akka.Event;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Runner.Containers;
using Runtara.Runner.Files;
using Runtara.Runner.Slots;

namespace Runtara.Runner;

// What is taken over from an earlier daemon, and what is kept for a later one.
public sealed partial class RunnerActor
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan EvictInterval = TimeSpan.FromHours(1);
    private static readonly TimeSpan TellAgain = TimeSpan.FromSeconds(30);

    private const string FoundAndStopped =
        "{Instance} attempt {Attempt}: the container of an earlier daemon is not, or no longer, wanted; stopped";

    // Exits that the instance has not confirmed. Their files are on disk too, until it has.
    private readonly Dictionary<InstanceId, Kept> _kept = [];

    private string? _unrecovered;

    private void Recovering(object message)
    {
        switch (message)
        {
            case Recovered recovered:
                if (_unrecovered is not null)
                    _log.Warning("what an earlier daemon left is taken over now: containers are started again");
                foreach (var launch in recovered.Launches)
                    Adopt(launch);
                if (_occupants.Count > 0)
                    Timers.StartPeriodicTimer("found", new AskAfterFound(), _options.OrphanGrace);
                Timers.StartPeriodicTimer("look", new Look(), LookInterval);
                Timers.StartPeriodicTimer("evict", new EvictImages(), EvictInterval);
                Become(OnReceive);
                Stash.UnstashAll();
                break;
            case Status.Failure failure:
                OnRecoveryFailed(failure.Cause);
                Timers.StartSingleTimer("recover", new RecoverAgain(), RecoverRetry);
                break;
            case RecoverAgain: Recover(); break;
            case GetRunnerStatus when _unrecovered is not null: Sender.Tell(StatusWith(_unrecovered)); break;
            default: Stash.Stash(); break;
        }
    }

    // Said when the cause is new, however often it is tried again.
    private void OnRecoveryFailed(Exception cause)
    {
        var shortage = cause is IOException ? DiskRoom.Shortage(cause.HResult, _options.DataDirectory) : null;
        var problem = "no container is started, because what an earlier daemon left cannot be taken over: "
            + (shortage ?? cause.Message);
        const string line = "{Problem}; tried again every {Seconds} s";
        if (problem == _unrecovered)
            _log.Debug(line, problem, RecoverRetry.TotalSeconds);
        else if (cause is IOException or UnauthorizedAccessException or RunnerException)
            _log.Error(line, problem, RecoverRetry.TotalSeconds);
        else
            _log.Error(cause, line, problem, RecoverRetry.TotalSeconds);
        _unrecovered = problem;
    }

    private void Recover()
    {
        var host = _host;
        Task.Run(host.RecoverAsync).PipeTo(Self, success: launches => new Recovered(launches));
    }

    private void Adopt(EarlierLaunch launch)
    {
        var note = launch.Note;
        var run = new ContainerRun(_host, note, _ => { });
        _slots.Occupy(new SlotKey(note.Instance, note.Attempt));
        var occupant = Occupy(note.Instance, note.Attempt, run, Task.Run(() => run.AdoptAsync(launch.Supervisor)));
        (occupant.IsClaimed, occupant.StartedAt) = (false, launch.At);
        // An instance that is called into memory asks for its attempt.
        _instances.Tell(new InstanceCommand.Ensure(note.Instance));
    }

    // An instance that cannot be called into memory now says nothing, and keeps its container.
    private void OnAskAfterFound()
    {
        var found = _occupants.Where(o => !o.Value.IsClaimed).ToList();
        if (found.Count == 0)
        {
            Timers.Cancel("found");
            return;
        }
        _log.Warning(
            "{Count} containers of an earlier daemon run, and their instances have not asked for them: asked now, and "
            + "again in {Seconds} s", found.Count, _options.OrphanGrace.TotalSeconds);
        foreach (var (instance, occupant) in found)
            _instances.Tell(new InstanceCommand.ContainerFound(instance, occupant.Attempt));
    }

    private void OnLook()
    {
        if (_met is not null)
            _met = TryDisk();
        LookAtDisk();
        Send(_slots.Expire(Now));
        foreach (var (instance, kept) in _kept.Where(k => Now - k.Value.ToldAt >= TellAgain).ToList())
        {
            _instances.Tell(kept.Exited);
            _kept[instance] = kept with { ToldAt = Now };
        }
    }

    private void OnEvictImages()
    {
        var images = _host.Images;
        if (_options.ImageKeepUnused is { } unused)
            Task.Run(() => images.Evict(unused));
    }

    private void OnForget(RunnerCommand.Forget forget)
    {
        if (!_kept.TryGetValue(forget.Instance, out var kept) || kept.Exited.Attempt != forget.Attempt)
            return;
        _kept.Remove(forget.Instance);
        // What runs now of the instance has these files.
        if (!_occupants.ContainsKey(forget.Instance))
            _host.Forget(PathNames.OfContainer(forget.Instance.Value));
    }

    private sealed record Kept(InstanceCommand.ProcessExited Exited, DateTimeOffset ToldAt);

    private sealed record Recovered(IReadOnlyList<EarlierLaunch> Launches) : INoSerializationVerificationNeeded;

    private sealed record RecoverAgain : INoSerializationVerificationNeeded;

    private sealed record AskAfterFound : INoSerializationVerificationNeeded;

    private sealed record EvictImages : INoSerializationVerificationNeeded;
}
