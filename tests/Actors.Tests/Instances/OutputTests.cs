using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Actors.Tests.Instances;

/// <summary>What <c>output.json</c> says when the workflow reported nothing.</summary>
public sealed class OutputTests
{
    private readonly Machine _m = new Machine().Running();

    private void ExitWith(RunOutputStatus status, string? error = null, TimeSpan? wakeAfter = null) => _m.Exit(
        code: 0, output: new RunOutput(status, "7"u8.ToArray(), error, wakeAfter is null ? null : "nap", wakeAfter));

    [Fact]
    public void Sleeping_and_suspended_differ_in_their_wake_time()
    {
        ExitWith(RunOutputStatus.Suspended);
        Assert.Null(Assert.IsType<InstanceState.Suspended>(_m.State).WakeAt);
        _m.Ask(new InstanceCommand.ResumeInstance(Machine.Id));
        _m.Running();
        ExitWith(RunOutputStatus.Sleeping, wakeAfter: TimeSpan.FromHours(1));
        Assert.Equal(_m.Now + TimeSpan.FromHours(1), Assert.IsType<InstanceState.Suspended>(_m.State).WakeAt);
    }

    private static readonly TimeSpan ForEver = TimeSpan.MaxValue - TimeSpan.FromMilliseconds(1);

    [Fact]
    public void A_sleep_for_ever_is_the_longest_sleep_and_can_be_stopped()
    {
        ExitWith(RunOutputStatus.Sleeping, wakeAfter: ForEver);
        Assert.Equal(_m.Now + TimeSpan.FromDays(3650), Assert.IsType<InstanceState.Suspended>(_m.State).WakeAt);
        Assert.IsType<InstanceReply.Accepted>(
            _m.Ask(new InstanceCommand.StopInstance(Machine.Id, TimeSpan.Zero, null)));
        Assert.Equal(InstanceStatus.Cancelled, _m.State.Status);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_stop_comes_before_any_wish_to_sleep(bool valid)
    {
        _m.Ask(new InstanceCommand.StopInstance(Machine.Id, TimeSpan.FromSeconds(5), null));
        ExitWith(RunOutputStatus.Sleeping, wakeAfter: valid ? ForEver : null);
        Assert.Equal(InstanceStatus.Cancelled, _m.State.Status);
    }

    [Theory]
    [InlineData("paused", "paused")]
    [InlineData(null, "step")]
    public void A_pause_goes_on_from_the_checkpoint_that_it_names_or_else_from_the_last(string? named, string from)
    {
        _m.Save("step");
        _m.Exit(code: 0, output: new RunOutput(RunOutputStatus.Suspended, default, null, named, null));
        _m.Ask(new InstanceCommand.ResumeInstance(Machine.Id));
        _m.Do(new InstanceCommand.SlotGranted(Machine.Id, _m.Attempt.Next()));
        Assert.Equal(from, Assert.IsType<RunnerCommand.Launch>(Assert.Single(_m.Last.Effects)).CheckpointId);
        Assert.IsType<InstanceReply.Registered>(
            _m.Ask(new InstanceCommand.Register(Machine.Id, Machine.Tenant, from, _m.Attempt)));
    }

    [Fact]
    public void A_failure_has_its_text_and_a_cancellation_is_one()
    {
        ExitWith(RunOutputStatus.Failed, "no luck");
        Assert.Equal("no luck", Assert.IsType<InstanceState.Ended>(_m.State).Result);
        var other = new Machine().Running();
        other.Exit(code: 0, output: new RunOutput(RunOutputStatus.Cancelled, default, null, null, null));
        Assert.Equal(InstanceStatus.Cancelled, other.State.Status);
    }
}
