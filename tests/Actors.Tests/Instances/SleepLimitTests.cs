using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using static Runtara.Actors.Tests.Instances.Machine;

namespace Runtara.Actors.Tests.Instances;

/// <summary>Each sleep is remembered for as long as its instance lives; so their number has a limit.</summary>
public sealed class SleepLimitTests
{
    private readonly Machine _m = new Machine(new InstanceSettings { SleepsMax = 2 }).Running();

    private const string Text =
        "Failed to sleep in instance 'order-1': it has 2 sleeps, which is the limit (instances.sleeps-max)";

    [Fact]
    public void One_sleep_too_many_is_refused_and_those_before_it_go_on()
    {
        Assert.IsType<InstanceReply.SleepElapsed>(_m.Sleep("tick-1", 0));
        var until = Assert.IsType<InstanceReply.SleepUntil>(_m.Sleep("tick-2", 9)).WakeAt;
        var refused = Assert.IsType<InstanceReply.Refused>(_m.Sleep("tick-3", 3600));
        Assert.Equal((Refusal.LimitExceeded, Text), (refused.Reason, refused.Text));
        Assert.Equal(until, Assert.IsType<InstanceReply.SleepUntil>(_m.Sleep("tick-2", 9)).WakeAt);
        Assert.IsType<InstanceReply.SleepElapsed>(_m.Sleep("tick-1", 9));
        Assert.IsType<InstanceReply.SleepUntil>(_m.Sleep("", 9));
    }

    [Fact]
    public void Nobody_hibernates_in_a_sleep_that_was_refused()
    {
        _m.Sleep("tick-1", 0);
        _m.Sleep("tick-2", 0);
        _m.Sleep("tick-3", 3600);
        _m.Wait(TimeSpan.FromSeconds(60));
        Assert.IsType<InstanceState.Running>(_m.State);
    }

    [Fact]
    public void One_sleep_too_many_in_an_output_file_fails_the_instance_and_says_why()
    {
        for (var tick = 1; tick <= 3; tick++)
        {
            _m.Exit(code: 0, output: new RunOutput(
                RunOutputStatus.Sleeping, default, null, $"tick-{tick}", TimeSpan.FromHours(1)));
            if (tick == 3)
                break;
            _m.After(TimeSpan.FromHours(1)).Do(new InstanceCommand.Wake(Id));
            _m.Running();
        }
        Assert.Equal(Text, Assert.IsType<InstanceState.Ended>(_m.State).Result);
    }
}
