using System.Diagnostics;
using Akka.Actor;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Tests;

public sealed class StopTests : RunnerTest
{
    private static readonly InstanceId One = new("one");

    [Fact]
    public void A_program_that_hears_SIGTERM_ends_by_itself_within_the_grace()
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "polite"));
        AwaitUp("one");

        runner.Tell(new RunnerCommand.Stop(One, new Attempt(1), TimeSpan.FromSeconds(15)));

        var report = ExpectExit();
        Assert.Equal(0, report.ExitCode);
        Assert.Equal(RunOutputStatus.Cancelled, report.Output!.Status);
    }

    [Theory]
    [InlineData("stubborn")]
    [InlineData("sleep")]
    public void A_program_that_does_not_is_killed_after_the_grace(string mode)
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, mode));
        AwaitUp("one");

        runner.Tell(new RunnerCommand.Stop(One, new Attempt(1), TimeSpan.FromMilliseconds(300)));

        Assert.Equal(9, ExpectExit().Signal);
    }

    [Fact]
    public void Without_grace_it_is_killed_at_once_and_a_shorter_grace_shortens_a_longer_one()
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "stubborn"));
        AwaitUp("one");

        runner.Tell(new RunnerCommand.Stop(One, new Attempt(1), TimeSpan.FromHours(1)));
        runner.Tell(new RunnerCommand.Stop(One, new Attempt(1), TimeSpan.Zero));

        Assert.Equal(9, ExpectExit().Signal);
    }

    [Fact]
    public void A_stop_while_the_image_is_on_its_way_ends_the_attempt()
    {
        Images.Gate = new TaskCompletionSource();
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "sleep"));

        runner.Tell(new RunnerCommand.Stop(One, new Attempt(1), TimeSpan.FromHours(1)));

        Assert.Equal(15, ExpectExit().Signal);
    }

    [Fact]
    public void A_stop_while_the_image_is_on_its_way_does_not_send_the_others_that_wait_for_it_back()
    {
        Images.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "sleep"));
        AwaitAssert(() => Assert.Equal(1, Images.Opened), Patience);
        Launch(runner, LaunchOf("two", 1, "exit", ("CODE", "3")));
        Launch(runner, LaunchOf("three", 1, "exit", ("CODE", "3")));

        runner.Tell(new RunnerCommand.Stop(One, new Attempt(1), TimeSpan.FromHours(1)));
        Assert.Equal(15, ExpectExit().Signal);
        Images.Gate.SetResult();

        Assert.Equal((3, 3), (ExpectExit().ExitCode, ExpectExit().ExitCode));
        Assert.Equal(1, Images.Opened);
    }

    [Fact]
    public void A_stop_right_behind_the_launch_ends_the_attempt()
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "stubborn"));
        var began = Stopwatch.GetTimestamp();

        runner.Tell(new RunnerCommand.Stop(One, new Attempt(1), TimeSpan.FromMilliseconds(50)));

        Assert.Contains(ExpectExit().Signal, (int?[])[9, 15]);
        // Long before the container would have had to be up.
        Assert.InRange(Stopwatch.GetElapsedTime(began), TimeSpan.Zero, Options.LaunchTimeout / 3);
        Assert.Empty(Directory.GetDirectories(Path.Combine(Data, "crun")));
        Assert.Empty(Door.Open);
        Assert.False(File.Exists(Path.Combine(RunDirectoryOf("one"), "runtara.sock")));
        Assert.Equal(0, StatusOf(runner).Containers);
    }

    [Fact]
    public void Two_attempts_of_one_instance_never_overlap()
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "stubborn"));
        AwaitUp("one");
        Launch(runner, LaunchOf("one", 2, "exit", ("CODE", "0")));

        var first = ExpectMsg<InstanceCommand.ProcessExited>(Patience);
        var second = ExpectMsg<InstanceCommand.ProcessExited>(Patience);

        Assert.Equal((new Attempt(1), 9), (first.Attempt, first.Report.Signal));
        Assert.Equal((new Attempt(2), 0), (second.Attempt, second.Report.ExitCode));
    }

    [Fact]
    public void The_end_of_the_runner_is_the_end_of_its_containers_when_it_is_set_so()
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "stubborn"));
        AwaitUp("one");
        Assert.NotEmpty(Directory.GetDirectories(Path.Combine(Data, "crun")));

        Watch(runner);
        Sys.Stop(runner);

        ExpectTerminated(runner, Patience);
        Assert.Empty(Directory.GetDirectories(Path.Combine(Data, "crun")));
        StartRunner().Tell(new RunnerCommand.Watch(One, new Attempt(1), Tenant), TestActor);
        Assert.Equal(new Attempt(1), ExpectMsg<InstanceCommand.AttemptVanished>(Patience).Attempt);
    }

    [Fact]
    public void Watching_a_supervised_attempt_says_nothing_and_another_one_vanished()
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 2, "polite"));
        AwaitUp("one");

        runner.Tell(new RunnerCommand.Watch(One, new Attempt(2), Tenant));
        runner.Tell(new RunnerCommand.Watch(One, new Attempt(1), Tenant));
        runner.Tell(new RunnerCommand.Watch(new InstanceId("two"), new Attempt(1), Tenant));

        Assert.Equal(new Attempt(1), ExpectMsg<InstanceCommand.AttemptVanished>(Patience).Attempt);
        var vanished = ExpectMsg<InstanceCommand.AttemptVanished>(Patience);
        Assert.Equal("two", vanished.Instance.Value);
        Assert.StartsWith("nothing is left of the attempt: the machine was restarted", vanished.Reason);
    }
}
