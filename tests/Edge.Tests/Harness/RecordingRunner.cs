using System.Collections.Concurrent;
using Akka.Actor;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Edge.Tests.Harness;

/// <summary>
/// The runner port without containers: grants every slot, remembers every command, kills if told to at once. What has
/// a grace ends when the test says so.
/// </summary>
internal sealed class RecordingRunner : UntypedActor
{
    private readonly IActorRef _region;
    private readonly ConcurrentQueue<RunnerCommand> _commands;

    public RecordingRunner(IActorRef region, ConcurrentQueue<RunnerCommand> commands) =>
        (_region, _commands) = (region, commands);

    protected override void OnReceive(object message)
    {
        if (message is not RunnerCommand command)
            return;
        _commands.Enqueue(command);
        if (command is RunnerCommand.RequestSlot)
            _region.Tell(new InstanceCommand.SlotGranted(command.Instance, command.Attempt));
        if (command is RunnerCommand.Stop { Grace.Ticks: 0 })
            _region.Tell(Killed(command.Instance, command.Attempt));
    }

    public static InstanceCommand Killed(InstanceId instance, Attempt attempt) => new InstanceCommand.ProcessExited(
        instance, attempt, new ExitReport(null, 9, false, "", null, null, null));
}

/// <summary>Remembers what instances are asked, on its way to them.</summary>
internal sealed class RecordingRegion(IActorRef region, ConcurrentQueue<InstanceCommand> asked) : UntypedActor
{
    protected override void OnReceive(object message)
    {
        if (message is InstanceCommand command)
            asked.Enqueue(command);
        region.Forward(message);
    }
}

/// <summary>Leaves what does not pass unanswered.</summary>
internal sealed class DeafRegion(IActorRef region, Func<InstanceCommand, bool> passes) : UntypedActor
{
    protected override void OnReceive(object message)
    {
        if (message is not InstanceCommand command || passes(command))
            region.Forward(message);
    }
}
