using Akka.Actor;
using Akka.Event;
using Akka.TestKit;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Tests;

/// <summary>A runner that cannot write its files when it begins; the time until it tries again is the test's.</summary>
public sealed class RecoveryFailureTests : RunnerTest
{
    private readonly TestProbe _said;
    private IActorRef? _runner;

    public RecoveryFailureTests() : base(
        """
        akka.loglevel = DEBUG
        akka.loggers = []
        akka.stdout-loglevel = OFF
        akka.scheduler.implementation = "Akka.TestKit.TestScheduler, Akka.TestKit"
        """)
    {
        _said = CreateTestProbe();
        Sys.EventStream.Subscribe(_said, typeof(LogEvent));
    }

    private TestScheduler Scheduler => (TestScheduler)Sys.Scheduler;

    [Fact]
    public void Each_cause_is_one_line_and_what_was_asked_meanwhile_is_served_in_the_end()
    {
        var (launches, images) = (Path.Combine(Data, "launches"), Path.Combine(Data, "images"));
        File.WriteAllText(launches, "");
        var runner = _runner = StartRunner();
        runner.Tell(new RunnerCommand.RequestSlot(new InstanceId("one"), new Attempt(1), Tenant), TestActor);
        var first = Next<Error>("cannot be taken over");
        Assert.StartsWith("no container is started, because what an earlier daemon left ", first, Ordinal);
        Assert.Contains($"'{launches}'", first);
        Assert.Equal(first, $"{ProblemOf(runner)}; tried again every 5 s");
        Assert.Equal(first, NextTry<Debug>("cannot be taken over"));
        Assert.Equal(first, NextTry<Debug>("cannot be taken over"));

        File.WriteAllText(images, "");
        File.Delete(launches);
        Assert.Contains($"'{images}'", NextTry<Error>("cannot be taken over"));

        File.Delete(images);
        NextTry<Warning>("is taken over now");
        ExpectMsg<InstanceCommand.SlotGranted>(Patience);
        Assert.Null(ProblemOf(runner));
    }

    private static StringComparison Ordinal => StringComparison.Ordinal;

    private static string? ProblemOf(IActorRef runner) =>
        runner.Ask<RunnerStatus>(GetRunnerStatus.Instance, Patience).GetAwaiter().GetResult().Problem;

    private string NextTry<T>(string text)
        where T : LogEvent
    {
        // Asked behind the failure of the last try, and answered when the timer for the next one is set.
        Assert.NotNull(ProblemOf(_runner!));
        Scheduler.Advance(TimeSpan.FromSeconds(5));
        return Next<T>(text);
    }

    private string Next<T>(string text)
        where T : LogEvent
    {
        var line = (LogEvent)_said.FishForMessage(
            m => m is LogEvent l && $"{l.Message}".Contains(text, Ordinal), Patience);
        Assert.IsType<T>(line);
        Assert.Null(line.Cause);
        return $"{line.Message}";
    }
}
