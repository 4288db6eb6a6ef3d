using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using static Runtara.Actors.Tests.Instances.Machine;

namespace Runtara.Actors.Tests.Instances;

/// <summary>Semantics, rows "Stop", "Resume", "Cancel, pause, resume signals".</summary>
public sealed class InstanceSignalTests
{
    private readonly Machine _m = new();

    private InstanceReply? Send(SignalKind kind, string payload = "") =>
        _m.Ask(new InstanceCommand.SendSignal(Id, kind, System.Text.Encoding.UTF8.GetBytes(payload)));

    private InstanceReply? Stop(string? reason = null, int grace = 5) =>
        _m.Ask(new InstanceCommand.StopInstance(Id, TimeSpan.FromSeconds(grace), reason));

    private InstanceReply? Resume() => _m.Ask(new InstanceCommand.ResumeInstance(Id));

    private InstanceReply? SendCustom(string key, Guid? request = null) =>
        _m.Ask(new InstanceCommand.SendCustomSignal(Id, key, new byte[] { 1 }, request ?? Guid.NewGuid()));

    private InstanceReply.Signals Poll() =>
        Assert.IsType<InstanceReply.Signals>(_m.Ask(new InstanceCommand.PollSignals(Id, null, _m.Attempt)));

    private InstanceReply? Acknowledge(SignalKind kind, Attempt? from = null) =>
        _m.Ask(new InstanceCommand.AcknowledgeSignal(Id, kind, from));

    private InstanceReply? Suspend() => _m.Ask(new InstanceCommand.ReportSuspended(Id, _m.Attempt));

    private static void IsAccepted(InstanceReply? reply) => Assert.IsType<InstanceReply.Accepted>(reply);

    private static void IsRefused(InstanceReply? reply, string text) =>
        Assert.Equal(text, Assert.IsType<InstanceReply.Refused>(reply).Text);

    private void HasStatus(InstanceStatus status) => Assert.Equal(status, _m.State.Status);

    [Fact]
    public void What_was_never_started_is_missing_to_every_caller()
    {
        const string missing = "Instance 'order-1' not found";
        IsRefused(Stop(), missing);
        IsRefused(Resume(), missing);
        IsRefused(Send(SignalKind.Cancel), missing);
        IsRefused(SendCustom("k"), missing);
    }

    [Fact]
    public void A_pending_instance_is_cancelled_at_once_and_gives_its_place_back()
    {
        _m.Started();
        IsAccepted(Stop("enough"));
        HasStatus(InstanceStatus.Cancelled);
        Assert.Equal("enough", Assert.IsType<InstanceEvent.Cancelled>(_m.Journal[^1]).Reason);
        Assert.Contains(_m.Last.Effects, e => e is RunnerCommand.ReleaseSlot { Attempt.Number: 1 });
        IsAccepted(Stop("again"));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public void A_suspended_instance_is_cancelled_at_once_by_a_stop_or_a_signal(bool stop, bool hibernated)
    {
        _m.Running();
        if (hibernated)
        {
            _m.Sleep("nap", 3600);
            _m.Wait(TimeSpan.FromSeconds(2));
        }
        else
            Suspend();
        Assert.Equal(hibernated, Assert.IsType<InstanceState.Suspended>(_m.State).WakeAt is not null);
        IsAccepted(stop ? Stop("why") : Send(SignalKind.Cancel, "why"));
        HasStatus(InstanceStatus.Cancelled);
        Assert.Equal("why", Assert.IsType<InstanceEvent.Cancelled>(_m.Journal[^1]).Reason);
        Assert.Contains(_m.Last.Effects, e => e is RunnerCommand.Stop { Attempt.Number: 1, Grace.Ticks: 0 });
        _m.Exit(signal: 9);
        Assert.True(_m.State.CanRest());
    }

    [Fact]
    public void A_pending_instance_is_cancelled_at_once_by_a_signal()
    {
        _m.Started();
        IsAccepted(Send(SignalKind.Cancel, "why"));
        HasStatus(InstanceStatus.Cancelled);
        Assert.Equal("why", Assert.IsType<InstanceEvent.Cancelled>(_m.Journal[^1]).Reason);
        Assert.Contains(_m.Last.Effects, e => e is RunnerCommand.ReleaseSlot { Attempt.Number: 1 });
        IsAccepted(Send(SignalKind.Cancel));
        Assert.Empty(_m.Last.Events);
    }

    [Fact]
    public void A_stop_sends_a_cancel_signal_and_the_order_with_its_grace()
    {
        _m.Running();
        IsAccepted(Stop("enough", 7));
        HasStatus(InstanceStatus.Running);
        Assert.Contains(_m.Last.Effects, e => e is RunnerCommand.Stop s && s.Grace == TimeSpan.FromSeconds(7));
        Assert.Equal(SignalKind.Cancel, Poll().Signal!.Kind);
        Assert.Contains(_m.Journal, e => e is InstanceEvent.StopRequested { Detail: "enough" });
        IsAccepted(Stop("again", 1));
        Assert.Empty(_m.Last.Events);
        _m.Exit(signal: 15);
        HasStatus(InstanceStatus.Cancelled);
    }

    [Fact]
    public void A_result_within_the_grace_of_a_stop_wins()
    {
        _m.Running();
        Stop();
        IsAccepted(_m.Complete());
        HasStatus(InstanceStatus.Completed);
        IsRefused(Stop(), "Instance 'order-1' is already completed");
    }

    [Fact]
    public void An_output_file_within_the_grace_of_a_stop_wins_too()
    {
        _m.Running();
        Stop();
        _m.Exit(code: 0, output: new RunOutput(RunOutputStatus.Completed, new byte[] { 49 }, null, null, null));
        HasStatus(InstanceStatus.Completed);
    }

    [Fact]
    public void A_program_that_registered_itself_is_cancelled_when_the_grace_of_a_stop_is_over()
    {
        _m.Do(new InstanceCommand.Register(Id, Tenant, null, null));
        IsAccepted(Stop(grace: 3));
        HasStatus(InstanceStatus.Running);
        Assert.Equal(SignalKind.Cancel, Poll().Signal!.Kind);
        _m.Wait(TimeSpan.FromSeconds(3));
        HasStatus(InstanceStatus.Cancelled);
    }

    [Fact]
    public void A_stop_order_is_given_again_with_what_is_left_of_its_grace_after_a_recovery()
    {
        _m.Running();
        Stop(grace: 5);
        _m.After(TimeSpan.FromSeconds(2));
        var stop = Assert.Single(_m.Recover().OfType<RunnerCommand.Stop>());
        Assert.Equal(TimeSpan.FromSeconds(3), stop.Grace);
    }

    [Fact]
    public void A_resume_launches_a_suspended_instance_also_without_a_checkpoint()
    {
        _m.Running();
        Suspend();
        IsAccepted(Resume());
        Assert.Contains(_m.Last.Effects, e => e is RunnerCommand.RequestSlot { Attempt.Number: 2 });
        IsAccepted(Resume());
        Assert.Empty(_m.Last.Events);
        _m.Running();
        HasStatus(InstanceStatus.Running);
        IsRefused(Resume(), "Cannot resume instance in 'running' state (must be suspended)");
    }

    [Fact]
    public void A_resume_ends_a_sleep_early_and_the_sleep_counts_as_elapsed()
    {
        _m.Running();
        _m.Sleep("nap", 3600);
        _m.Wait(TimeSpan.FromSeconds(2));
        HasStatus(InstanceStatus.Suspended);
        IsAccepted(Resume());
        _m.Running();
        Assert.IsType<InstanceReply.SleepElapsed>(_m.Sleep("nap", 3600));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_resume_of_a_pause_ends_no_sleep(bool reported)
    {
        _m.Running();
        var until = Assert.IsType<InstanceReply.SleepUntil>(_m.Sleep("nap", 3600)).WakeAt;
        if (reported)
            Suspend();
        _m.Exit(code: 0, output: new RunOutput(RunOutputStatus.Suspended, default, null, null, null));
        IsAccepted(Resume());
        _m.Running();
        Assert.Equal(until, Assert.IsType<InstanceReply.SleepUntil>(_m.Sleep("nap", 3600)).WakeAt);
    }

    [Fact]
    public void A_resume_ends_the_sleep_that_it_finds_and_no_later_one()
    {
        _m.Running();
        _m.Sleep("short", 60);
        var until = Assert.IsType<InstanceReply.SleepUntil>(_m.Sleep("long", 3600)).WakeAt;
        _m.Wait(TimeSpan.FromSeconds(2));
        HasStatus(InstanceStatus.Suspended);
        IsAccepted(Resume());
        _m.Running();
        Assert.IsType<InstanceReply.SleepElapsed>(_m.Sleep("short", 60));
        Assert.Equal(until, Assert.IsType<InstanceReply.SleepUntil>(_m.Sleep("long", 3600)).WakeAt);
    }

    [Fact]
    public void A_program_that_nobody_launched_cannot_be_resumed_and_is_told_so_by_a_signal()
    {
        _m.Do(new InstanceCommand.Register(Id, Tenant, null, null));
        _m.Ask(new InstanceCommand.ReportSuspended(Id, null));
        IsRefused(Resume(), "Instance has no associated image");
        IsAccepted(Send(SignalKind.Resume));
        Assert.Equal(SignalKind.Resume, Poll().Signal!.Kind);
    }

    [Theory]
    [InlineData(SignalKind.Cancel, SignalKind.Pause, SignalKind.Cancel)]
    [InlineData(SignalKind.Cancel, SignalKind.Resume, SignalKind.Cancel)]
    [InlineData(SignalKind.Pause, SignalKind.Resume, SignalKind.Pause)]
    [InlineData(SignalKind.Pause, SignalKind.Cancel, SignalKind.Cancel)]
    [InlineData(SignalKind.Resume, SignalKind.Pause, SignalKind.Pause)]
    public void A_weaker_signal_never_replaces_a_stronger_one(SignalKind first, SignalKind second, SignalKind left)
    {
        _m.Running();
        IsAccepted(Send(first));
        IsAccepted(Send(second));
        Assert.Equal(left, Poll().Signal!.Kind);
        Assert.Equal(left, Poll().Signal!.Kind);
    }

    [Fact]
    public void An_acknowledgement_clears_only_the_signal_of_its_own_kind()
    {
        _m.Running();
        Send(SignalKind.Pause);
        Send(SignalKind.Cancel);
        IsAccepted(Acknowledge(SignalKind.Pause));
        Assert.Equal(SignalKind.Cancel, Poll().Signal!.Kind);
        HasStatus(InstanceStatus.Running);
        IsAccepted(Acknowledge(SignalKind.Cancel));
        HasStatus(InstanceStatus.Cancelled);
    }

    [Fact]
    public void An_acknowledgement_of_an_older_attempt_clears_nothing()
    {
        _m.Running();
        var first = _m.Attempt;
        _m.Exit(code: 1);
        _m.Running();
        Send(SignalKind.Cancel);
        IsAccepted(Acknowledge(SignalKind.Cancel, first));
        HasStatus(InstanceStatus.Running);
        Assert.NotNull(Poll().Signal);
    }

    [Fact]
    public void Acknowledging_a_cancel_that_was_never_sent_cancels_nothing()
    {
        _m.Running();
        IsAccepted(Acknowledge(SignalKind.Cancel));
        HasStatus(InstanceStatus.Running);
    }

    [Theory]
    [InlineData(1, null)]
    [InlineData(0, null)]
    [InlineData(null, 9)]
    public void A_process_that_exits_with_a_cancel_pending_was_cancelled(int? code, int? signal)
    {
        _m.Running();
        Send(SignalKind.Cancel, "why");
        _m.Exit(code, signal);
        HasStatus(InstanceStatus.Cancelled);
    }

    [Fact]
    public void A_launch_that_fails_or_an_attempt_that_is_lost_with_a_cancel_pending_was_cancelled()
    {
        _m.Running();
        Send(SignalKind.Cancel);
        _m.Do(new InstanceCommand.AttemptVanished(Id, _m.Attempt, "gone"));
        HasStatus(InstanceStatus.Cancelled);

        var other = new Machine().Started();
        other.Do(new InstanceCommand.SlotGranted(Id, new Attempt(1)));
        other.Do(new InstanceCommand.SendSignal(Id, SignalKind.Cancel, default));
        other.Do(new InstanceCommand.LaunchFailed(Id, new Attempt(1), "no crun"));
        Assert.Equal(InstanceStatus.Cancelled, other.State.Status);
    }

    [Fact]
    public void Suspending_with_a_cancel_pending_cancels()
    {
        _m.Running();
        Send(SignalKind.Cancel);
        IsAccepted(Suspend());
        HasStatus(InstanceStatus.Cancelled);
        IsAccepted(Suspend());
    }

    [Fact]
    public void A_sleeper_with_a_cancel_pending_is_cancelled_and_not_hibernated()
    {
        _m.Running();
        _m.Sleep("nap", 3600);
        Send(SignalKind.Cancel);
        _m.Wait(TimeSpan.FromSeconds(3));
        HasStatus(InstanceStatus.Cancelled);
    }

    [Fact]
    public void A_pause_is_over_when_the_instance_is_suspended()
    {
        _m.Running();
        Send(SignalKind.Pause);
        Suspend();
        IsAccepted(Send(SignalKind.Pause));
        Assert.Empty(_m.Last.Events);
        IsAccepted(Send(SignalKind.Resume));
        _m.Running();
        Assert.Null(Poll().Signal);
    }

    [Fact]
    public void A_pause_of_a_sleeper_waits_for_it_and_a_resume_takes_it_back()
    {
        _m.Running();
        _m.Sleep("nap", 3600);
        _m.Wait(TimeSpan.FromSeconds(2));
        IsAccepted(Send(SignalKind.Pause));
        HasStatus(InstanceStatus.Suspended);
        IsAccepted(Resume());
        _m.Running();
        Assert.Null(Poll().Signal);
    }

    [Theory]
    [InlineData(SignalKind.Cancel)]
    [InlineData(SignalKind.Pause)]
    [InlineData(SignalKind.Resume)]
    public void What_has_ended_refuses_signals(SignalKind kind)
    {
        const string text = "Cannot send signal to instance in 'completed' state (terminal state)";
        _m.Running();
        _m.Complete();
        IsRefused(Send(kind), text);
        IsRefused(SendCustom("k"), text);
    }
}
