using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using static Runtara.Actors.Tests.Instances.Machine;

namespace Runtara.Actors.Tests.Instances;

/// <summary>What becomes of a process whose instance has gone on without it.</summary>
public sealed class LeavingTests
{
    private readonly Machine _m = new();

    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    private List<RunnerCommand> Waited(TimeSpan time)
    {
        var effects = new List<RunnerCommand>();
        for (var until = _m.Now + time; _m.Now < until;)
        {
            _m.Wait(TimeSpan.FromSeconds(1));
            effects.AddRange(_m.Do(new InstanceCommand.Tick(Id)).Effects);
        }
        return effects;
    }

    [Theory]
    [InlineData(RunOutputStatus.Completed)]
    [InlineData(RunOutputStatus.Failed)]
    [InlineData(RunOutputStatus.Suspended)]
    [InlineData(RunOutputStatus.Sleeping)]
    [InlineData(RunOutputStatus.Cancelled)]
    public void A_process_that_has_exited_is_not_waited_for(RunOutputStatus status)
    {
        _m.Running();
        _m.Exit(code: 0, output: new RunOutput(status, "1"u8.ToArray(), "no", "a", TimeSpan.FromHours(1)));
        Assert.True(_m.State.CanRest());
        Assert.Empty(Waited(Long));
    }

    [Fact]
    public void The_exit_of_an_attempt_is_journaled_once()
    {
        _m.Running();
        _m.Exit(code: 0, output: new RunOutput(RunOutputStatus.Completed, "1"u8.ToArray(), null, null, null));
        foreach (var stop in Waited(Long).OfType<RunnerCommand.Stop>())
            _m.Do(new InstanceCommand.AttemptVanished(Id, stop.Attempt, "gone"));
        Assert.Single(_m.Journal.OfType<InstanceEvent.AttemptExited>());
    }

    [Fact]
    public void A_process_that_hangs_after_it_was_suspended_is_stopped_although_its_instance_was_resumed()
    {
        _m.Running();
        _m.Ask(new InstanceCommand.ReportSuspended(Id, _m.Attempt));
        var effects = _m.Do(new InstanceCommand.ResumeInstance(Id)).Effects.Concat(Waited(Long));
        Assert.Contains(effects, e => e is RunnerCommand.Stop { Attempt.Number: 1 });
    }

    [Fact]
    public void A_process_that_hangs_is_stopped_although_its_instance_was_resumed_and_cancelled()
    {
        _m.Running();
        _m.Ask(new InstanceCommand.ReportSuspended(Id, _m.Attempt));
        var effects = _m.Do(new InstanceCommand.ResumeInstance(Id)).Effects
            .Concat(_m.Do(new InstanceCommand.StopInstance(Id, TimeSpan.Zero, null)).Effects).Concat(Waited(Long));
        Assert.Contains(effects, e => e is RunnerCommand.Stop { Attempt.Number: 1 });
    }
}
