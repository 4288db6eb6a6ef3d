using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Actors.Tests.Proof;

/// <summary>What a runner that does as it is told has: slots asked for, and containers by attempt.</summary>
internal sealed class Containers
{
    private readonly HashSet<Attempt> _asked = [];
    private readonly HashSet<Attempt> _launched = [];
    private readonly HashSet<Attempt> _running = [];
    private readonly HashSet<Attempt> _stopping = [];
    private readonly HashSet<Attempt> _ended = [];

    /// <summary>Promise 3, for what is performed: each attempt once, and never beside one that may go on.</summary>
    internal void Perform(IEnumerable<RunnerCommand> effects)
    {
        foreach (var effect in effects)
        {
            switch (effect)
            {
                case RunnerCommand.RequestSlot: _asked.Add(effect.Attempt); break;
                case RunnerCommand.ReleaseSlot: _asked.Remove(effect.Attempt); break;
                case RunnerCommand.Stop: _stopping.Add(effect.Attempt); break;
                case RunnerCommand.Launch:
                    Oracle.Holds(_launched.Add(effect.Attempt), $"attempt {effect.Attempt} was launched twice");
                    Oracle.Holds(_running.All(_stopping.Contains), $"attempt {effect.Attempt} runs beside another");
                    _running.Add(effect.Attempt);
                    break;
            }
        }
    }

    internal void Heard(InstanceCommand command)
    {
        switch (command)
        {
            case InstanceCommand.ProcessExited c: _running.Remove(c.Attempt); break;
            case InstanceCommand.AttemptVanished c: _running.Remove(c.Attempt); break;
            case InstanceCommand.LaunchFailed c: _running.Remove(c.Attempt); break;
        }
    }

    internal bool Runs(Attempt attempt) => _running.Contains(attempt);

    internal void Ends_once(Attempt attempt) =>
        Oracle.Holds(_ended.Add(attempt), $"the end of attempt {attempt} was journaled twice");

    /// <summary>Promise 2: no slot comes that nobody asked for.</summary>
    internal void A_slot_was_asked_for(Attempt attempt) =>
        Oracle.Holds(_asked.Contains(attempt), $"attempt {attempt} waits for a slot and has not asked for it");

    /// <summary>Promise 2: once nothing goes on, no process goes on either.</summary>
    internal void Nothing_runs_on() => Oracle.Holds(
        _running.All(_stopping.Contains), "a process was left behind that nobody will stop");
}
