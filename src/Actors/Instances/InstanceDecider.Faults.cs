using Runtara.Actors.Runners;
using static Runtara.Actors.Instances.InstanceCommand;
using static Runtara.Actors.Instances.InstanceEvent;
using static Runtara.Actors.Instances.InstanceState;

namespace Runtara.Actors.Instances;

// What becomes of a fault in here. An exception would restart the actor, the runner would tell the new one what the old
// one failed at, and that without a pause and without an end. So a fault is an answer like any other.
public sealed partial class InstanceDecider
{
    private static Decision AfterFault(
        InstanceState state, InstanceCommand command, Exception fault, DateTimeOffset now)
    {
        var text = $"Internal error: {command.GetType().Name} could not be carried out: {fault.Message}";
        return command is SlotGranted or ContainerStarted or ContainerFound or LaunchFailed or ProcessExited
            or AttemptVanished or Wake or Tick or Ensure
            ? GiveUp(state, command, text, now) with { Fault = fault }
            : Refuse(Refusal.InternalError, text) with { Fault = fault };
    }

    // The runner and the clock take no refusal: who waits for what they told would wait for ever.
    private static Decision GiveUp(InstanceState state, InstanceCommand command, string text, DateTimeOffset now)
    {
        var events = new List<InstanceEvent>();
        var effects = new List<RunnerCommand>();
        if (command is ProcessExited exited)
        {
            effects.Add(Forget(exited));
            if (state is Existing s && s.Leaving() == exited.Attempt)
                events.Add(Exit(exited, now));
        }
        if (state is Pending p)
            effects.Add(new RunnerCommand.ReleaseSlot(p.Facts.Id, p.Facts.Attempt.Next()));
        if (state is Existing and not Ended)
            events.Add(new Failed(text, now));
        return new Decision(null, events, effects);
    }
}
