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
        var leaving = (state as Existing)?.Leaving();
        InstanceEvent? end = command switch
        {
            ProcessExited c when c.Attempt == leaving => Exit(c, now),
            LaunchFailed c when c.Attempt == leaving => Gone(c.Attempt, now),
            AttemptVanished c when c.Attempt == leaving => Gone(c.Attempt, now),
            _ => null,
        };
        InstanceEvent[] failed = state is Existing and not Ended ? [new Failed(text, now)] : [];
        RunnerCommand[] effects = (state, command) switch
        {
            (_, ProcessExited c) => [Forget(c)],
            (Pending s, _) => [new RunnerCommand.ReleaseSlot(s.Facts.Id, s.Facts.Attempt.Next())],
            _ => [],
        };
        return new Decision(null, end is null ? failed : [end, .. failed], effects);
    }
}
