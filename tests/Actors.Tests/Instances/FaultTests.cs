using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using static Runtara.Actors.Tests.Instances.Machine;

namespace Runtara.Actors.Tests.Instances;

/// <summary>A fault of the machine itself is told once, and never again and again.</summary>
public sealed class FaultTests
{
    // A pause that leads beyond all time: to add it throws.
    private readonly Machine _m = new(
        new InstanceSettings { BackoffMin = TimeSpan.MaxValue, BackoffMax = TimeSpan.MaxValue });

    [Fact]
    public void An_exit_that_cannot_be_decided_about_fails_the_instance_and_is_not_told_again()
    {
        _m.Running().Exit(code: 1);
        Assert.NotNull(_m.Last.Fault);
        Assert.Contains(_m.Last.Effects, e => e is RunnerCommand.Forget { Attempt.Number: 1 });
        Assert.StartsWith(
            "Internal error: ProcessExited could not be carried out: ",
            Assert.IsType<InstanceState.Ended>(_m.State).Result);
        Assert.True(_m.State.CanRest());
    }

    [Fact]
    public void A_launch_that_failed_and_cannot_be_decided_about_fails_the_instance()
    {
        _m.Started().Do(new InstanceCommand.SlotGranted(Id, new Attempt(1)));
        _m.Do(new InstanceCommand.LaunchFailed(Id, new Attempt(1), "no crun"));
        Assert.Equal(InstanceStatus.Failed, _m.State.Status);
    }

    [Fact]
    public void A_request_that_cannot_be_decided_about_is_refused_and_changes_nothing()
    {
        _m.Running();
        var refused = Assert.IsType<InstanceReply.Refused>(_m.Save(null!));
        Assert.Equal(Refusal.InternalError, refused.Reason);
        Assert.StartsWith("Internal error: SaveCheckpoint could not be carried out: ", refused.Text);
        Assert.NotNull(_m.Last.Fault);
        Assert.Empty(_m.Last.Events);
        Assert.IsType<InstanceReply.CheckpointStored>(_m.Save("step"));
        Assert.Null(_m.Last.Fault);
    }
}
