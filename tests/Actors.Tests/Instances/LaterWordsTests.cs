using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using static Runtara.Actors.Tests.Instances.Machine;

namespace Runtara.Actors.Tests.Instances;

/// <summary>
/// What comes after an end, a wake or a resume. The reference lets a late message overwrite an end, forgets who dies
/// right after a wake, and keeps the wake time of a sleep that a resume has ended.
/// </summary>
public sealed class LaterWordsTests
{
    private readonly Machine _m = new();

    [Theory]
    [InlineData(InstanceStatus.Completed)]
    [InlineData(InstanceStatus.Failed)]
    [InlineData(InstanceStatus.Cancelled)]
    public void What_has_ended_stays_as_it_is_whatever_comes_later(InstanceStatus status)
    {
        _m.Running();
        _m.Ask(status switch
        {
            InstanceStatus.Completed => new InstanceCommand.ReportCompleted(Id, new byte[] { 49 }, _m.Attempt),
            InstanceStatus.Failed => new InstanceCommand.ReportFailed(Id, "no", _m.Attempt),
            _ => new InstanceCommand.SendSignal(Id, SignalKind.Cancel, default),
        });
        if (status == InstanceStatus.Cancelled)
            _m.Ask(new InstanceCommand.AcknowledgeSignal(Id, SignalKind.Cancel, _m.Attempt));
        var end = Assert.IsType<InstanceState.Ended>(_m.State);
        Assert.Equal(status, end.Status);
        var events = _m.Journal.Count;

        foreach (var later in Later(_m.Attempt))
        {
            _m.Do(later);
            _m.Wait(TimeSpan.FromMinutes(5));
            var now = Assert.IsType<InstanceState.Ended>(_m.State);
            Assert.Equal((end.Outcome, end.Result, end.Since), (now.Outcome, now.Result, now.Since));
        }

        Assert.IsType<InstanceEvent.AttemptExited>(Assert.Single(_m.Journal[events..]));
        Assert.Empty(_m.Recover());
    }

    private static InstanceCommand[] Later(Attempt live) =>
    [
        new InstanceCommand.Tick(Id), new InstanceCommand.Ensure(Id), new InstanceCommand.Wake(Id),
        new InstanceCommand.Register(Id, Tenant, null, live), new InstanceCommand.Heartbeat(Id, live),
        new InstanceCommand.SaveCheckpoint(Id, "late", default, live),
        new InstanceCommand.Sleep(Id, "late", TimeSpan.FromHours(1), live),
        new InstanceCommand.ReportCompleted(Id, new byte[] { 50 }, live),
        new InstanceCommand.ReportFailed(Id, "late", live), new InstanceCommand.ReportSuspended(Id, live),
        new InstanceCommand.ReportCustom(Id, "late", null, default, null, live),
        new InstanceCommand.RecordRetry(Id, "late", 1, null, live),
        new InstanceCommand.PollSignals(Id, null, live),
        new InstanceCommand.AcknowledgeSignal(Id, SignalKind.Cancel, live),
        new InstanceCommand.SendSignal(Id, SignalKind.Cancel, default),
        new InstanceCommand.SendCustomSignal(Id, "late", default, Guid.NewGuid()),
        new InstanceCommand.StopInstance(Id, TimeSpan.Zero, "late"), new InstanceCommand.ResumeInstance(Id),
        Start(), Start("[1]"),
        new InstanceCommand.SlotGranted(Id, live), new InstanceCommand.SlotGranted(Id, live.Next()),
        new InstanceCommand.LaunchFailed(Id, live, "late"),
        new InstanceCommand.ProcessExited(Id, live, new ExitReport(
            1, null, false, "", new RunOutput(RunOutputStatus.Failed, default, "late", null, null), null, null)),
        new InstanceCommand.AttemptVanished(Id, live, "late"),
    ];

    [Fact]
    public void A_woken_attempt_that_dies_before_it_registers_is_launched_again()
    {
        SleepUntilDue("nap");
        _m.Do(new InstanceCommand.SlotGranted(Id, _m.Attempt.Next()));
        _m.Wait(TimeSpan.FromSeconds(119));
        Assert.IsType<InstanceState.Launching>(_m.State);
        Assert.DoesNotContain(_m.Journal, e => e is InstanceEvent.StopRequested);
        _m.Exit(code: 1);
        Assert.IsType<InstanceState.Pending>(_m.State);
        _m.Running();
        Assert.IsType<InstanceReply.SleepElapsed>(_m.Sleep("nap", 3600));
    }

    [Fact]
    public void A_wake_whose_launches_fail_ends_in_a_failure_and_is_not_due_again()
    {
        SleepUntilDue("nap");
        for (var i = 0; i < 3; i++)
        {
            _m.Do(new InstanceCommand.SlotGranted(Id, _m.Attempt.Next()));
            _m.Do(new InstanceCommand.LaunchFailed(Id, _m.Attempt, "the image is damaged"));
            _m.Do(new InstanceCommand.Wake(Id));
            _m.Wait(TimeSpan.FromSeconds(10));
        }
        Assert.StartsWith("Launch failed: the image is damaged", Assert.IsType<InstanceState.Ended>(_m.State).Result);
        Assert.Single(_m.Journal.OfType<InstanceEvent.Woken>());
    }

    [Fact]
    public void A_suspension_after_a_resume_has_no_wake_time_of_the_sleep_before()
    {
        _m.Running();
        _m.Sleep("nap", 3600);
        _m.Wait(TimeSpan.FromSeconds(2));
        Assert.NotNull(Assert.IsType<InstanceState.Suspended>(_m.State).WakeAt);
        _m.Exit(signal: 9);
        _m.Ask(new InstanceCommand.ResumeInstance(Id));
        _m.Running();
        _m.Ask(new InstanceCommand.ReportSuspended(Id, _m.Attempt));
        Assert.Null(Assert.IsType<InstanceState.Suspended>(_m.State).WakeAt);
        _m.Exit(code: 0);
        _m.After(TimeSpan.FromHours(2)).Do(new InstanceCommand.Wake(Id));
        Assert.IsType<InstanceState.Suspended>(_m.State);
    }

    [Fact]
    public void A_resume_of_the_first_release_ended_every_sleep_and_still_does()
    {
        _m.Running();
        _m.Sleep("nap", 3600);
        _m.Ask(new InstanceCommand.ReportSuspended(Id, _m.Attempt));
        var resumed = (InstanceState.Existing)_m.State.Apply(new InstanceEvent.Woken(true, _m.Now));
        Assert.Equal(_m.Now, resumed.Facts.Sleeps["nap"]);
    }

    [Fact]
    public void A_crash_a_wake_and_a_resume_launch_what_the_start_named()
    {
        var variables = System.Collections.Immutable.ImmutableSortedDictionary<string, string>.Empty.Add("A", "b");
        _m.Do(Start() with { Environment = variables });
        var first = Launched();
        Assert.Equal((Image, Tenant, "b"), (first.Image, first.Tenant, first.Environment["A"]));
        _m.Exit(code: 1);
        IsAsThe(first, Launched());
        SleepUntilDue("nap");
        IsAsThe(first, Launched());
        _m.Ask(new InstanceCommand.ReportSuspended(Id, _m.Attempt));
        _m.Exit(code: 0);
        _m.Ask(new InstanceCommand.ResumeInstance(Id));
        IsAsThe(first, Launched());
    }

    private static void IsAsThe(RunnerCommand.Launch first, RunnerCommand.Launch other) =>
        Assert.Equal(first with { Attempt = other.Attempt, CheckpointId = other.CheckpointId }, other);

    private RunnerCommand.Launch Launched()
    {
        if (_m.State is InstanceState.Pending { NotBefore: var notBefore } && notBefore > _m.Now)
            _m.After(notBefore - _m.Now);
        var launch = Assert.IsType<RunnerCommand.Launch>(
            Assert.Single(_m.Do(new InstanceCommand.SlotGranted(Id, _m.Attempt.Next())).Effects));
        _m.Do(new InstanceCommand.Register(Id, Tenant, null, _m.Attempt));
        return launch;
    }

    private void SleepUntilDue(string key)
    {
        if (_m.State is not InstanceState.Running)
            _m.Running();
        _m.Sleep(key, 3600);
        _m.Wait(TimeSpan.FromSeconds(2));
        _m.Exit(signal: 9);
        _m.After(TimeSpan.FromHours(1)).Do(new InstanceCommand.Wake(Id));
        Assert.IsType<InstanceState.Pending>(_m.State);
    }
}
