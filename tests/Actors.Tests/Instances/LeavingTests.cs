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

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_process_that_never_was_is_not_waited_for_when_its_end_ends_the_instance(bool vanished)
    {
        _m.Running();
        _m.Ask(new InstanceCommand.StopInstance(Id, TimeSpan.FromSeconds(5), null));
        _m.Do(End(vanished));
        Assert.Equal(InstanceStatus.Cancelled, _m.State.Status);
        Assert.True(_m.State.CanRest());
        Assert.Empty(Waited(Long));
    }

    [Fact]
    public void A_launch_that_fails_for_the_last_time_leaves_nothing_to_wait_for()
    {
        for (var i = 0; i < 3; i++)
        {
            _m.Running();
            _m.Do(End(vanished: false));
        }
        Assert.Equal(InstanceStatus.Failed, _m.State.Status);
        Assert.True(_m.State.CanRest());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_process_of_an_instance_that_has_gone_on_is_over_when_the_runner_says_so(bool vanished)
    {
        _m.Running();
        _m.Complete();
        Assert.False(_m.State.CanRest());
        _m.Do(End(vanished));
        Assert.True(_m.State.CanRest());
        _m.Do(End(vanished));
        Assert.Single(_m.Journal.OfType<InstanceEvent.AttemptExited>());
    }

    private InstanceCommand End(bool vanished) => vanished
        ? new InstanceCommand.AttemptVanished(Id, _m.Attempt, "gone")
        : new InstanceCommand.LaunchFailed(Id, _m.Attempt, "no crun");

    [Fact]
    public void A_container_that_was_found_is_asked_for_by_the_instance_whose_attempt_it_is()
    {
        _m.Running();
        Assert.Equal([new RunnerCommand.Watch(Id, _m.Attempt, Tenant)], Found(_m.Attempt));
        _m.Complete();
        Assert.Equal([new RunnerCommand.Watch(Id, _m.Attempt, Tenant)], Found(_m.Attempt));
    }

    [Fact]
    public void A_container_that_was_found_is_stopped_when_its_instance_does_not_know_it_or_is_done_with_it()
    {
        Assert.Equal([StopOf(new Attempt(1))], Found(new Attempt(1)));
        _m.Running();
        Assert.Equal([StopOf(new Attempt(2))], Found(new Attempt(2)));
        _m.Exit(code: 1);
        Assert.Equal([StopOf(new Attempt(1))], Found(new Attempt(1)));
        _m.Running();
        Assert.Equal([StopOf(new Attempt(1))], Found(new Attempt(1)));
        _m.Complete();
        _m.Exit(code: 0);
        Assert.Equal([StopOf(new Attempt(2))], Found(new Attempt(2)));
    }

    private IReadOnlyList<RunnerCommand> Found(Attempt attempt) =>
        _m.Do(new InstanceCommand.ContainerFound(Id, attempt)).Effects;

    private static RunnerCommand.Stop StopOf(Attempt attempt) => new(Id, attempt, TimeSpan.Zero);

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
