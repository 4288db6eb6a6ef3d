using Akka.Actor;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Tests;

/// <summary>When the time of an attempt's program begins: image and input are here by then.</summary>
public sealed class StartOfAProgramTests : RunnerTest
{
    private static readonly InstanceId One = new("one");
    private static readonly Attempt First = new(1);

    public StartOfAProgramTests() => IgnoreMessages(m => m is InstanceCommand.Ensure);

    [Fact]
    public void A_program_has_not_started_while_its_image_is_on_its_way()
    {
        Images.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "exit", ("CODE", "0")));
        AwaitAssert(() => Assert.Equal(1, Images.Opened), Patience);
        runner.Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);
        StatusOf(runner);
        Assert.False(HasMessages);

        var before = TimeProvider.System.GetUtcNow();
        Images.Gate.SetResult();

        var started = ExpectMsg<InstanceCommand.ContainerStarted>(Patience);
        Assert.Equal((One, First), (started.Instance, started.Attempt));
        Assert.InRange(started.At, before - TimeSpan.FromSeconds(1), TimeProvider.System.GetUtcNow());
        Assert.Equal(0, ExpectExit().ExitCode);
    }

    [Fact]
    public void The_start_is_told_to_who_asks_and_by_the_next_runner_too()
    {
        Options = Options with { StopContainersOnExit = false };
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "polite"));
        var started = ExpectMsg<InstanceCommand.ContainerStarted>(Patience);
        AwaitUp("one");
        runner.Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);
        Assert.Equal(started, ExpectMsg<InstanceCommand.ContainerStarted>(Patience));
        Watch(runner);
        Sys.Stop(runner);
        ExpectTerminated(runner, Patience);

        runner = StartRunner();
        runner.Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);

        Assert.Equal(started, ExpectMsg<InstanceCommand.ContainerStarted>(Patience));
        runner.Tell(new RunnerCommand.Stop(One, First, Patience), TestActor);
        Assert.Equal(0, ExpectExit().ExitCode);
    }
}
