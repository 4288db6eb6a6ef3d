using Akka.Event;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Runner.Files;

namespace Runtara.Runner;

// A full disk costs time and no attempt: nothing is started without room, and what failed to start for want of it has
// vanished and not failed. A container that runs and crashes meanwhile has crashed; it too waits for room then.
public sealed partial class RunnerActor
{
    // A quota cannot be looked at, only met: what a launch met, until there is room for it.
    private string? _met;

    /// <summary>Holds or grants places; says why when there is no room.</summary>
    private string? LookAtDisk()
    {
        var problem = DiskRoom.Problem(_options.DataDirectory, _options.DiskFreeBytesMin, _options.DiskInodesMin)
            ?? _met;
        if (problem is not null && !_slots.IsHeld)
            _log.Error("no container is started: {Problem}", problem);
        if (problem is null && _slots.IsHeld)
            _log.Warning("containers are started again: the disk of the data directory has room");
        _slots.IsHeld = problem is not null;
        return problem;
    }

    private string? TryDisk() => DiskRoom.Try(_options.DataDirectory, _options.DiskFreeBytesMin);

    private InstanceCommand OrLostToDisk(InstanceCommand report)
    {
        if (report is not InstanceCommand.LaunchFailed failed)
            return report;
        if (DiskRoom.IsShortage(failed.Error))
            _met = TryDisk();
        return LookAtDisk() is { } problem
            ? new InstanceCommand.AttemptVanished(failed.Instance, failed.Attempt, $"{problem} ({failed.Error})")
            : report;
    }

    private RunnerStatus StatusWith(string? problem) =>
        new(_occupants.Count, _slots.Waiting, _options.Capacity, problem);
}
