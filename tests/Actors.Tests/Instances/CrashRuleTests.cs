using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using static Runtara.Actors.Tests.Instances.Machine;

namespace Runtara.Actors.Tests.Instances;

/// <summary>Semantics, rows "Crash" and "Timeout", beyond <see cref="InstanceDeciderTests"/>.</summary>
public sealed class CrashRuleTests
{
    [Theory]
    [InlineData(1, 60)]
    [InlineData(3600, 86400)]
    [InlineData(0, 60)]
    public void The_backoff_doubles_up_to_its_end_however_many_attempts_there_are(int min, int max)
    {
        var machine = new Machine(new InstanceSettings
        {
            MaxAttempts = 100, BackoffMin = TimeSpan.FromSeconds(min), BackoffMax = TimeSpan.FromSeconds(max),
        });
        for (var i = 0; i < 40; i++)
        {
            machine.Running().Exit(code: 1);
            var pause = Assert.IsType<InstanceState.Pending>(machine.State).NotBefore - machine.Now;
            var middle = Math.Min(min * Math.Pow(2, i), max);
            Assert.InRange(pause, TimeSpan.FromSeconds(middle * 0.8), TimeSpan.FromSeconds(middle * 1.2));
        }
    }

    [Fact]
    public void A_want_of_memory_is_named()
    {
        var machine = new Machine();
        for (var i = 0; i < 3; i++)
        {
            machine.Running().Do(new InstanceCommand.ProcessExited(
                Id, machine.Attempt, new ExitReport(null, 9, true, "", null, null, null)));
        }
        Assert.StartsWith("out of memory", Assert.IsType<InstanceState.Ended>(machine.State).Result);
    }

    [Fact]
    public void Suspended_time_does_not_count_towards_the_timeout()
    {
        var machine = new Machine().Started(timeoutSeconds: 5).Running();
        machine.Sleep("nap", 3600);
        machine.Wait(TimeSpan.FromSeconds(2));
        machine.Exit(signal: 9);
        machine.After(TimeSpan.FromHours(1)).Do(new InstanceCommand.Wake(Id));
        machine.Running();
        machine.Wait(TimeSpan.FromSeconds(4.9));
        Assert.DoesNotContain(machine.Journal, e => e is InstanceEvent.StopRequested);
        machine.Wait(TimeSpan.FromSeconds(0.1));
        Assert.Equal(StopReason.Timeout, Assert.IsType<InstanceEvent.StopRequested>(machine.Journal[^1]).Reason);
    }

    private static RunOutput Output(RunOutputStatus status) =>
        new(status, default, null, "nap", TimeSpan.FromHours(1));

    private static Machine TimedOut()
    {
        var machine = new Machine().Started(timeoutSeconds: 5).Running();
        machine.Wait(TimeSpan.FromSeconds(5));
        Assert.Contains(machine.Journal, e => e is InstanceEvent.StopRequested { Reason: StopReason.Timeout });
        return machine;
    }

    private static void FailedByTimeout(Machine machine) =>
        Assert.Equal("Execution timeout after 5 s", Assert.IsType<InstanceState.Ended>(machine.State).Result);

    [Theory]
    [InlineData(true, RunOutputStatus.Suspended)]
    [InlineData(false, RunOutputStatus.Suspended)]
    [InlineData(true, RunOutputStatus.Cancelled)]
    [InlineData(false, RunOutputStatus.Cancelled)]
    [InlineData(false, RunOutputStatus.Sleeping)]
    public void Only_a_result_saves_an_attempt_within_the_grace_of_its_timeout(bool reported, RunOutputStatus status)
    {
        var machine = TimedOut();
        if (reported)
        {
            var report = new InstanceCommand.ReportSuspended(Id, machine.Attempt);
            Assert.Equal(
                "Instance 'order-1' is in invalid state: attempt 1 ran longer than its timeout and is being stopped",
                Assert.IsType<InstanceReply.Refused>(machine.Ask(report)).Text);
            Assert.Empty(machine.Last.Events);
        }
        machine.Exit(code: 0, output: Output(status));
        FailedByTimeout(machine);
    }

    [Fact]
    public void A_timeout_sends_a_cancel_signal_and_the_instance_fails_whether_it_is_acknowledged_or_not()
    {
        foreach (var acknowledged in (bool[])[true, false])
        {
            var machine = TimedOut();
            var polled = machine.Ask(new InstanceCommand.PollSignals(Id, null, machine.Attempt));
            Assert.Equal(SignalKind.Cancel, Assert.IsType<InstanceReply.Signals>(polled).Signal!.Kind);
            if (acknowledged)
                machine.Do(new InstanceCommand.AcknowledgeSignal(Id, SignalKind.Cancel, machine.Attempt));
            machine.Do(new InstanceCommand.SendSignal(Id, SignalKind.Cancel, default));
            Assert.IsType<InstanceState.Running>(machine.State);
            machine.Exit(code: 0, output: Output(RunOutputStatus.Cancelled));
            FailedByTimeout(machine);
        }
    }

    [Fact]
    public void A_stop_within_the_grace_of_a_timeout_cancels()
    {
        var machine = TimedOut();
        machine.Do(new InstanceCommand.StopInstance(Id, TimeSpan.FromSeconds(5), "enough"));
        machine.Exit(signal: 15);
        Assert.Equal(InstanceStatus.Cancelled, machine.State.Status);
    }

    [Fact]
    public void A_timeout_of_an_attempt_with_a_cancel_pending_cancels()
    {
        var machine = new Machine().Started(timeoutSeconds: 5).Running();
        machine.Do(new InstanceCommand.SendSignal(Id, SignalKind.Cancel, "why"u8.ToArray()));
        machine.Wait(TimeSpan.FromSeconds(5));
        Assert.Contains(machine.Last.Effects, e => e is RunnerCommand.Stop { Grace.TotalSeconds: 5 });
        machine.Exit(signal: 15);
        Assert.Equal(InstanceStatus.Cancelled, machine.State.Status);
        Assert.Contains(
            machine.Journal, e => e is InstanceEvent.StopRequested { Reason: StopReason.Cancel, Detail: "why" });
    }

    [Theory]
    [InlineData("sleep")]
    [InlineData("pause")]
    [InlineData("lost")]
    public void Progress_resets_the_retry_count_also_when_its_attempt_did_not_crash(string end)
    {
        var machine = new Machine();
        machine.Running().Exit(code: 1);
        machine.Running().Exit(code: 1);
        machine.Running().Save("step");
        Assert.Equal((3, 2), RetriesOf(machine));
        EndWithoutCrash(machine, end);
        machine.Running();
        Assert.Equal((1, 0), RetriesOf(machine));
        machine.Exit(code: 1);
        Assert.Equal((2, 1), RetriesOf(machine));
        Assert.Equal(2, machine.Journal.OfType<InstanceEvent.AttemptCrashed>().Last().RetryCount);
    }

    private static (int, int) RetriesOf(Machine machine)
    {
        var facts = Assert.IsAssignableFrom<InstanceState.Existing>(machine.State).Facts;
        return (facts.RetryCount, facts.CrashesInARow);
    }

    private static void EndWithoutCrash(Machine machine, string end)
    {
        if (end == "sleep")
            machine.Exit(code: 0, output: Output(RunOutputStatus.Sleeping));
        if (end == "pause")
            machine.Exit(code: 0, output: Output(RunOutputStatus.Suspended));
        if (end == "lost")
            machine.Do(new InstanceCommand.AttemptVanished(Id, machine.Attempt, "gone"));
        else
            machine.Do(new InstanceCommand.ResumeInstance(Id));
    }

    [Fact]
    public void The_time_that_an_image_takes_to_arrive_does_not_count_towards_the_timeout()
    {
        var machine = new Machine().Started(timeoutSeconds: 5).Launching();
        machine.Wait(TimeSpan.FromMinutes(9));
        machine.Do(new InstanceCommand.ContainerStarted(Id, machine.Attempt, machine.Now));
        machine.Wait(TimeSpan.FromSeconds(4.9));
        Assert.DoesNotContain(machine.Journal, e => e is InstanceEvent.StopRequested);
        machine.Wait(TimeSpan.FromSeconds(0.1));
        Assert.Equal(StopReason.Timeout, Assert.IsType<InstanceEvent.StopRequested>(machine.Journal[^1]).Reason);
        Assert.Contains(machine.Last.Effects, e => e is RunnerCommand.Stop);
    }

    [Fact]
    public void An_attempt_whose_start_is_not_known_when_its_time_would_be_up_is_asked_for_and_not_stopped()
    {
        var machine = new Machine().Started(timeoutSeconds: 5).Running();
        var started = machine.Now;
        machine.After(TimeSpan.FromSeconds(6)).Recover();
        var watch = Assert.Single(machine.Do(new InstanceCommand.Tick(Id)).Effects);
        Assert.Equal(new RunnerCommand.Watch(Id, machine.Attempt, Tenant), watch);
        machine.Do(new InstanceCommand.ContainerStarted(Id, machine.Attempt, started));
        machine.Do(new InstanceCommand.Tick(Id));
        Assert.Equal(StopReason.Timeout, Assert.IsType<InstanceEvent.StopRequested>(machine.Journal[^1]).Reason);
    }

    [Fact]
    public void The_start_of_another_attempt_is_not_this_ones()
    {
        var machine = new Machine().Started(timeoutSeconds: 5).Running();
        machine.Do(new InstanceCommand.ContainerStarted(Id, machine.Attempt.Next(), machine.Now.AddMinutes(9)));
        machine.Wait(TimeSpan.FromSeconds(5));
        Assert.Equal(StopReason.Timeout, Assert.IsType<InstanceEvent.StopRequested>(machine.Journal[^1]).Reason);
    }

    [Fact]
    public void A_pause_sent_before_the_launch_is_there_when_it_runs()
    {
        var machine = new Machine().Started();
        var sent = machine.Ask(new InstanceCommand.SendSignal(Id, SignalKind.Pause, "why"u8.ToArray()));
        Assert.IsType<InstanceReply.Accepted>(sent);
        machine.Running();
        var polled = machine.Ask(new InstanceCommand.PollSignals(Id, null, machine.Attempt));
        Assert.Equal(SignalKind.Pause, Assert.IsType<InstanceReply.Signals>(polled).Signal!.Kind);
    }
}
