using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Actors.Tests.Instances;

public sealed class InstanceDeciderTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Fact]
    public void A_start_is_journaled_and_asks_for_a_slot()
    {
        var machine = new Machine();
        Assert.IsType<InstanceReply.Accepted>(machine.Ask(Machine.Start()));
        Assert.IsType<InstanceEvent.Started>(Assert.Single(machine.Journal));
        Assert.Equal(
            new Attempt(1), Assert.IsType<RunnerCommand.RequestSlot>(Assert.Single(machine.Last.Effects)).Attempt);
    }

    [Fact]
    public void The_same_start_again_succeeds_and_starts_nothing()
    {
        var machine = new Machine().Started();
        Assert.IsType<InstanceReply.Accepted>(machine.Ask(Machine.Start()));
        Assert.Single(machine.Journal);
        Assert.Empty(machine.Last.Effects);
    }

    [Fact]
    public void A_start_with_another_input_under_the_same_id_is_refused()
    {
        var machine = new Machine().Started();
        var refused = Assert.IsType<InstanceReply.Refused>(machine.Ask(Machine.Start("[1]")));
        Assert.Equal("Instance 'order-1' already exists", refused.Text);
    }

    [Fact]
    public void A_start_with_another_image_or_tenant_under_the_same_id_is_refused()
    {
        var machine = new Machine().Started();
        InstanceCommand[] others =
            [Machine.Start() with { Image = new("image-2") }, Machine.Start() with { Tenant = new("other") }];
        foreach (var other in others)
        {
            var refused = Assert.IsType<InstanceReply.Refused>(machine.Ask(other));
            Assert.Equal((Refusal.AlreadyExists, "Instance 'order-1' already exists"), (refused.Reason, refused.Text));
        }
        Assert.Single(machine.Journal);
    }

    [Fact]
    public void A_checkpoint_is_first_write_wins()
    {
        var machine = new Machine().Running();
        Assert.IsType<InstanceReply.CheckpointStored>(machine.Save("a", "first"));
        var events = machine.Journal.Count;
        Assert.IsType<InstanceReply.CheckpointFound>(machine.Save("a", "second"));
        Assert.Equal(events, machine.Journal.Count);
    }

    [Fact]
    public void A_request_of_an_older_attempt_changes_nothing()
    {
        var machine = new Machine().Running();
        machine.Exit(signal: 9);
        machine.Running();
        var events = machine.Journal.Count;
        var reply = machine.Ask(new InstanceCommand.ReportCompleted(Machine.Id, default, new Attempt(1)));
        Assert.Equal(Refusal.InvalidState, Assert.IsType<InstanceReply.Refused>(reply).Reason);
        Assert.Equal(events, machine.Journal.Count);
    }

    [Fact]
    public void An_exit_report_of_an_older_attempt_is_ignored()
    {
        var machine = new Machine().Running();
        machine.Exit(signal: 9);
        machine.Running();
        machine.Do(new InstanceCommand.ProcessExited(
            Machine.Id, new Attempt(1), new ExitReport(0, null, false, "", null, null, null)));
        Assert.Empty(machine.Last.Events);
        Assert.IsType<InstanceState.Running>(machine.State);
    }

    [Fact]
    public void Two_crashes_and_a_success_show_a_retry_count_of_three()
    {
        var machine = new Machine().Running();
        machine.Exit(code: 7);
        machine.Running().Exit(code: 7);
        machine.Running();
        machine.Complete();
        var ended = Assert.IsType<InstanceState.Ended>(machine.State);
        Assert.Equal(InstanceStatus.Completed, ended.Status);
        Assert.Equal(3, ended.Facts.RetryCount);
    }

    [Fact]
    public void The_third_crash_in_a_row_without_progress_fails_and_names_code_and_stderr()
    {
        var machine = new Machine().Running();
        machine.Exit(code: 7);
        machine.Running().Exit(code: 7);
        machine.Running().Exit(code: 7, stderr: "out of cheese");
        var ended = Assert.IsType<InstanceState.Ended>(machine.State);
        Assert.Equal(InstanceStatus.Failed, ended.Status);
        Assert.Contains("exited with code 7", ended.Result, StringComparison.Ordinal);
        Assert.Contains("out of cheese", ended.Result, StringComparison.Ordinal);
        Assert.Equal(3, ended.Facts.RetryCount);
    }

    [Fact]
    public void A_new_checkpoint_resets_the_count_of_crashes()
    {
        var machine = new Machine();
        for (var i = 0; i < 10; i++)
        {
            machine.Running().Save($"step-{i}");
            machine.Exit(signal: 11);
            var pending = Assert.IsType<InstanceState.Pending>(machine.State);
            Assert.Equal((2, 0), (pending.Facts.RetryCount, pending.Facts.CrashesInARow));
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    public void The_backoff_doubles_with_each_crash(int crashes, int seconds)
    {
        var machine = new Machine();
        for (var i = 0; i < crashes; i++)
            machine.Running().Exit(code: 1);
        var pause = Assert.IsType<InstanceState.Pending>(machine.State).NotBefore - machine.Now;
        Assert.InRange(pause, Second * seconds * 0.8, Second * seconds * 1.2);
    }

    [Fact]
    public void An_exit_may_be_forgotten_once_it_is_in_the_journal_or_changes_nothing()
    {
        var machine = new Machine().Running();
        var exit = new InstanceCommand.ProcessExited(
            Machine.Id, machine.Attempt, new ExitReport(0, null, false, "", null, 4096, 7));
        machine.Complete();
        Assert.Equal(
            new RunnerCommand.Forget(Machine.Id, new Attempt(1)), Assert.Single(machine.Do(exit).Effects));
        Assert.Equal((4096L, 7L), machine.Journal.OfType<InstanceEvent.AttemptExited>()
            .Select(e => (e.MemoryPeakBytes, e.CpuMicroseconds)).Single());

        var again = machine.Do(exit);

        Assert.Empty(again.Events);
        Assert.IsType<RunnerCommand.Forget>(Assert.Single(again.Effects));
    }

    [Fact]
    public void An_attempt_lost_with_its_daemon_costs_nothing()
    {
        var machine = new Machine().Running();
        Assert.IsType<RunnerCommand.Watch>(Assert.Single(machine.Recover()));
        machine.Do(new InstanceCommand.AttemptVanished(Machine.Id, machine.Attempt, "the daemon was restarted"));
        var pending = Assert.IsType<InstanceState.Pending>(machine.State);
        Assert.Equal((1, 0), (pending.Facts.RetryCount, pending.Facts.CrashesInARow));
        machine.Wait(Second);
        machine.Running();
        Assert.Equal(new Attempt(2), machine.Attempt);
    }

    [Fact]
    public void A_timeout_stops_the_attempt_and_fails_the_instance()
    {
        var machine = new Machine().Started(timeoutSeconds: 5).Running();
        machine.Wait(Second * 5);
        Assert.IsType<InstanceEvent.StopRequested>(machine.Journal[^1]);
        machine.Exit(signal: 15);
        Assert.Equal("Execution timeout after 5 s", Assert.IsType<InstanceState.Ended>(machine.State).Result);
    }

    [Fact]
    public void A_result_within_the_grace_of_a_timeout_wins()
    {
        var machine = new Machine().Started(timeoutSeconds: 5).Running();
        machine.Wait(Second * 5);
        machine.Complete();
        Assert.Equal(InstanceStatus.Completed, machine.State.Status);
    }

    [Fact]
    public void Silence_makes_an_attempt_stale_and_the_crash_rule_applies()
    {
        var machine = new Machine().Started(timeoutSeconds: 3600).Running();
        machine.Wait(Second * 120);
        Assert.Equal(StopReason.Stale, Assert.IsType<InstanceEvent.StopRequested>(machine.Journal[^1]).Reason);
        machine.Exit(signal: 9);
        Assert.IsType<InstanceState.Pending>(machine.State);
    }

    [Fact]
    public void Heartbeats_keep_an_attempt_alive_and_are_not_journaled()
    {
        var machine = new Machine().Started(timeoutSeconds: 3600).Running();
        var events = machine.Journal.Count;
        for (var i = 0; i < 10; i++)
        {
            machine.Wait(Second * 60);
            machine.Do(new InstanceCommand.Heartbeat(Machine.Id, machine.Attempt));
        }
        Assert.Equal(events, machine.Journal.Count);
    }

    [Fact]
    public void A_silent_program_that_registered_itself_fails_as_stale()
    {
        var machine = new Machine();
        machine.Do(new InstanceCommand.Register(Machine.Id, Machine.Tenant, null, null));
        Assert.IsType<InstanceState.Running>(machine.State);
        machine.Wait(Second * 120);
        Assert.StartsWith(
            "Instance stale: no activity since", Assert.IsType<InstanceState.Ended>(machine.State).Result);
    }

    [Fact]
    public void A_long_sleep_gives_up_its_container_once_idle()
    {
        var machine = new Machine().Running();
        var until = Assert.IsType<InstanceReply.SleepUntil>(machine.Sleep("nap", 15)).WakeAt;
        machine.Wait(Second * 2);
        Assert.Equal(until, Assert.IsType<InstanceState.Suspended>(machine.State).WakeAt);
        Assert.IsType<RunnerCommand.Stop>(Assert.Single(machine.Last.Effects));
        machine.Exit(signal: 9);
        Assert.True(machine.State.CanRest());
        machine.After(until - machine.Now).Do(new InstanceCommand.Wake(Machine.Id));
        machine.Running();
        Assert.Equal("nap", ((InstanceState.Existing)machine.State).Facts.ResumeFrom);
        Assert.IsType<InstanceReply.SleepElapsed>(machine.Sleep("nap", 15));
    }

    [Fact]
    public void A_request_during_a_sleep_postpones_the_hibernation()
    {
        var machine = new Machine().Running();
        machine.Sleep("nap", 60);
        machine.Wait(Second);
        machine.Save("meanwhile");
        machine.Wait(Second * 1.5);
        Assert.IsType<InstanceState.Running>(machine.State);
        machine.Wait(Second);
        Assert.IsType<InstanceState.Suspended>(machine.State);
    }

    [Theory]
    [InlineData("nap", 9)]
    [InlineData("", 3600)]
    public void A_short_sleep_or_one_without_a_key_keeps_its_container(string key, int seconds)
    {
        var machine = new Machine().Started(timeoutSeconds: 7200).Running();
        machine.Sleep(key, seconds);
        machine.Wait(Second * seconds);
        Assert.IsType<InstanceState.Running>(machine.State);
    }

    [Fact]
    public void The_wake_time_is_fixed_by_the_first_request()
    {
        var machine = new Machine().Running();
        var first = Assert.IsType<InstanceReply.SleepUntil>(machine.Sleep("nap", 9)).WakeAt;
        machine.After(Second * 3);
        Assert.Equal(first, Assert.IsType<InstanceReply.SleepUntil>(machine.Sleep("nap", 9)).WakeAt);
    }

    [Fact]
    public void A_second_wake_is_harmless()
    {
        var machine = new Machine().Running();
        machine.Sleep("nap", 15);
        machine.Wait(Second * 20);
        machine.Do(new InstanceCommand.Wake(Machine.Id));
        var events = machine.Journal.Count;
        machine.Do(new InstanceCommand.Wake(Machine.Id));
        Assert.Equal(events, machine.Journal.Count);
    }

    [Fact]
    public void A_wake_before_its_time_changes_nothing()
    {
        var machine = new Machine().Running();
        machine.Sleep("nap", 60);
        machine.Wait(Second * 5);
        machine.Do(new InstanceCommand.Wake(Machine.Id));
        Assert.IsType<InstanceState.Suspended>(machine.State);
    }

    [Fact]
    public void An_exit_without_result_and_code_zero_fails()
    {
        var machine = new Machine().Running();
        machine.Exit(code: 0);
        Assert.Equal("exited without reporting a result", Assert.IsType<InstanceState.Ended>(machine.State).Result);
    }

    [Fact]
    public void Without_an_event_output_json_decides()
    {
        var machine = new Machine().Running();
        machine.Exit(code: 0, output: new RunOutput(RunOutputStatus.Completed, "7"u8.ToArray(), null, null, null));
        Assert.Equal(InstanceStatus.Completed, machine.State.Status);
    }

    [Fact]
    public void A_reported_result_beats_output_json()
    {
        var machine = new Machine().Running();
        machine.Complete();
        machine.Exit(code: 1, output: new RunOutput(RunOutputStatus.Failed, default, "late", null, null));
        Assert.Equal(InstanceStatus.Completed, machine.State.Status);
    }

    [Fact]
    public void Terminal_is_final()
    {
        var machine = new Machine().Running();
        machine.Complete("1");
        Assert.IsType<InstanceReply.Accepted>(machine.Complete("1"));
        Assert.Equal("Instance 'order-1' is already completed", Assert.IsType<InstanceReply.Refused>(
            machine.Complete("2")).Text);
        var failed = machine.Ask(new InstanceCommand.ReportFailed(Machine.Id, "no", machine.Attempt));
        Assert.IsType<InstanceReply.Refused>(failed);
        var registered = machine.Ask(new InstanceCommand.Register(Machine.Id, Machine.Tenant, null, machine.Attempt));
        Assert.Equal("Instance 'order-1' is already completed", Assert.IsType<InstanceReply.Refused>(registered).Text);
        Assert.IsType<InstanceReply.Refused>(machine.Save("late"));
    }

    [Fact]
    public void A_process_that_outlives_its_report_is_stopped()
    {
        var machine = new Machine().Running();
        machine.Complete();
        machine.Wait(Second * 10);
        Assert.IsType<RunnerCommand.Stop>(Assert.Single(machine.Last.Effects));
    }

    [Fact]
    public void A_register_of_another_tenant_sees_nothing()
    {
        var machine = new Machine().Running();
        var reply = machine.Ask(new InstanceCommand.Register(Machine.Id, new TenantId("other"), null, null));
        Assert.Equal("Instance 'order-1' not found", Assert.IsType<InstanceReply.Refused>(reply).Text);
    }

    [Fact]
    public void A_launch_failure_follows_the_crash_rule_and_is_named()
    {
        var machine = new Machine();
        for (var i = 0; i < 3; i++)
        {
            if (machine.State is InstanceState.Absent)
                machine.Started();
            machine.Do(new InstanceCommand.SlotGranted(Machine.Id, machine.Attempt.Next()));
            machine.Do(new InstanceCommand.LaunchFailed(Machine.Id, machine.Attempt, "no pasta"));
        }
        Assert.StartsWith("Launch failed: no pasta", Assert.IsType<InstanceState.Ended>(machine.State).Result);
    }

    [Fact]
    public void A_slot_that_nobody_wants_any_more_is_given_back()
    {
        var machine = new Machine().Running();
        machine.Complete();
        machine.Do(new InstanceCommand.SlotGranted(Machine.Id, new Attempt(9)));
        Assert.IsType<RunnerCommand.ReleaseSlot>(Assert.Single(machine.Last.Effects));
    }

    [Fact]
    public void A_pending_instance_asks_again_for_its_slot_after_recovery()
    {
        var machine = new Machine().Started();
        Assert.IsType<RunnerCommand.RequestSlot>(Assert.Single(machine.Recover()));
    }

    [Fact]
    public void The_number_of_checkpoints_is_limited_and_the_error_names_the_setting()
    {
        var machine = new Machine(new InstanceSettings { CheckpointsMax = 1 }).Running();
        machine.Save("a");
        var refused = Assert.IsType<InstanceReply.Refused>(machine.Save("b"));
        Assert.Contains("instances.checkpoints-max", refused.Text, StringComparison.Ordinal);
    }
}
