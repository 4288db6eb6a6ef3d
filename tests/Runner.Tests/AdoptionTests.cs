using System.Text.Json.Nodes;
using Akka.Actor;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Runner.Containers;
using Runtara.Runner.Files;
using Runtara.Runner.Native;

namespace Runtara.Runner.Tests;

/// <summary>Containers that outlive their runner (D6).</summary>
public sealed class AdoptionTests : RunnerTest
{
    private static readonly InstanceId One = new("one");
    private static readonly Attempt First = new(1);
    private static readonly Attempt Second = new(2);

    public AdoptionTests()
    {
        Options = Options with { StopContainersOnExit = false };
        IgnoreMessages(m => m is InstanceCommand.Ensure or InstanceCommand.ContainerStarted);
    }

    [Fact]
    public void A_container_outlives_its_runner_and_the_next_one_reports_its_exit_once()
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "await", ("CODE", "7")));
        AwaitUp("one");
        var program = ProgramOf("one");
        End(runner);
        Assert.True(ProcessTable.IsAlive(program));

        var next = StartRunner();
        next.Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);
        Assert.Equal(1, StatusOf(next).Containers);
        Assert.True(ProcessTable.IsAlive(program));
        Release("one");

        Assert.Equal(7, ExpectExit().ExitCode);
        next.Tell(new RunnerCommand.Forget(One, First));
        Assert.Equal(0, StatusOf(next).Containers);
        Assert.Empty(LaunchesLeft());
        Assert.False(ProcessTable.IsAlive(program));
        ExpectNoMsg(TimeSpan.Zero);
    }

    [Theory]
    [InlineData("CODE", "0", 0, null)]
    [InlineData("CODE", "42", 42, null)]
    [InlineData("FAULT", "1", null, 11)]
    public void An_exit_that_nobody_watched_is_reported_in_full(string how, string value, int? code, int? signal)
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf(
            "one", 1, "await", (how, value), ("LINES", "100000"), ("TEXT", """{"status":"completed","result":5}""")));
        AwaitUp("one");
        End(runner);
        Release("one");
        AwaitRecord("one");

        StartRunner().Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);

        var exited = ExpectMsg<InstanceCommand.ProcessExited>(Patience);
        Assert.Equal((One, First), (exited.Instance, exited.Attempt));
        var report = exited.Report;
        Assert.Equal((code, signal, false), (report.ExitCode, report.Signal, report.OutOfMemory));
        Assert.EndsWith("line 99999\nline 100000\n", report.StderrTail);
        Assert.Equal(4096, report.StderrTail.Length);
        Assert.Equal("5"u8, report.Output!.Result.Span);
        Assert.InRange(report.CpuMicroseconds!.Value, 1_000, 20_000_000);
        Assert.InRange(report.MemoryPeakBytes!.Value, 100_000, 512L * 1024 * 1024);
        Assert.False(File.Exists(Path.Combine(RunDirectoryOf("one"), "runtara.sock")));
    }

    // An attempt ends while no runner is there, in a run of the machine called so.
    private void ExitUnwatched(string? boot, (string, string) setting)
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "await", setting));
        AwaitUp("one");
        End(runner);
        Release("one");
        AwaitRecord("one");
        SetBoot("one", boot);
    }

    [Fact]
    public void An_exit_that_a_restart_of_the_machine_made_is_a_lost_attempt_and_no_crash()
    {
        ExitUnwatched("of the day before", ("CODE", "143"));

        StartRunner().Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);

        Assert.Equal(First, ExpectMsg<InstanceCommand.AttemptVanished>(Patience).Attempt);
        Assert.Empty(LaunchesLeft());
    }

    [Fact]
    public void A_result_that_was_there_before_the_machine_was_restarted_counts()
    {
        ExitUnwatched("of the day before", ("TEXT", """{"status":"completed","result":5}"""));

        StartRunner().Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);

        Assert.Equal("5"u8, ExpectExit().Output!.Result.Span);
    }

    [Fact]
    public void An_exit_of_a_launch_that_does_not_say_in_which_run_of_the_machine_it_was_is_reported()
    {
        ExitUnwatched(null, ("CODE", "7"));

        StartRunner();

        Assert.Equal(7, ExpectExit().ExitCode);
    }

    [Fact]
    public void An_exit_is_told_again_by_every_runner_until_it_is_to_be_forgotten()
    {
        var runner = StartRunner();
        Run(runner, LaunchOf("one", 1, "exit", ("CODE", "3")));
        End(runner);

        runner = StartRunner();
        Assert.Equal(3, ExpectExit().ExitCode);
        runner.Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);
        Assert.Equal(3, ExpectExit().ExitCode);
        runner.Tell(new RunnerCommand.Forget(One, First), TestActor);
        StatusOf(runner);
        End(runner);

        StartRunner().Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);
        Assert.Equal(First, ExpectMsg<InstanceCommand.AttemptVanished>(Patience).Attempt);
    }

    [Fact]
    public void A_live_attempt_is_never_launched_a_second_time_and_a_newer_one_ends_it()
    {
        var runner = StartRunner();
        var launch = LaunchOf("one", 1, "stubborn");
        Launch(runner, launch);
        AwaitUp("one");
        var program = ProgramOf("one");
        End(runner);

        runner = StartRunner();
        Launch(runner, LaunchOf("two", 1, "exit", ("CODE", "0")));
        Assert.Equal(0, ExpectExit().ExitCode);
        runner.Tell(launch, TestActor);
        Launch(runner, LaunchOf("one", 2, "exit", ("CODE", "0")));

        var (first, second) = (ExpectMsg<InstanceCommand.ProcessExited>(Patience),
            ExpectMsg<InstanceCommand.ProcessExited>(Patience));
        Assert.Equal((First, 9), (first.Attempt, first.Report.Signal));
        Assert.Equal((Second, 0), (second.Attempt, second.Report.ExitCode));
        Assert.False(ProcessTable.IsAlive(program));
    }

    [Fact]
    public void A_container_that_no_instance_asks_for_is_asked_after_until_its_instance_does_not_want_it()
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "stubborn"));
        Launch(runner, LaunchOf("two", 1, "await"));
        AwaitUp("one");
        AwaitUp("two");
        var (orphan, claimed) = (ProgramOf("one"), ProgramOf("two"));
        End(runner);

        Options = Options with { OrphanGrace = TimeSpan.FromMilliseconds(100) };
        runner = StartRunner();
        runner.Tell(new RunnerCommand.Watch(new InstanceId("two"), First, Tenant), TestActor);
        // The database is away: the instance cannot answer, for however many times the grace.
        for (var i = 0; i < 5; i++)
            Assert.Equal(new InstanceCommand.ContainerFound(One, First), ExpectMsg<InstanceCommand>(Patience));
        Assert.True(ProcessTable.IsAlive(orphan));
        runner.Tell(new RunnerCommand.Stop(One, First, TimeSpan.Zero), TestActor);

        var exited = FishForMessage<InstanceCommand.ProcessExited>(_ => true, Patience);
        Assert.Equal((One, 9), (exited.Instance, exited.Report.Signal));
        Assert.False(ProcessTable.IsAlive(orphan));
        Assert.True(ProcessTable.IsAlive(claimed));
        Release("two");
        Assert.Equal(0, ExpectExit().ExitCode);
    }

    [Fact]
    public void An_older_attempt_than_the_one_asked_for_is_killed_and_a_newer_one_stays()
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 2, "stubborn"));
        AwaitUp("one");
        End(runner);

        runner = StartRunner();
        runner.Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);
        Assert.Equal(First, ExpectMsg<InstanceCommand.AttemptVanished>(Patience).Attempt);
        Assert.True(ProcessTable.IsAlive(ProgramOf("one")));
        runner.Tell(new RunnerCommand.Watch(One, new Attempt(3), Tenant), TestActor);
        Assert.Equal(new Attempt(3), ExpectMsg<InstanceCommand.AttemptVanished>(Patience).Attempt);
        var exited = ExpectMsg<InstanceCommand.ProcessExited>(Patience);
        Assert.Equal((Second, 9), (exited.Attempt, exited.Report.Signal));
    }

    [Fact]
    public void The_next_runner_serves_the_socket_again()
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "await", ("CONNECT", "1")));
        AwaitUp("one");
        End(runner);
        Assert.Empty(Door.Open);

        StartRunner().Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);
        AwaitAssert(() => Assert.Single(Door.Open), Patience);
        Release("one");

        var report = ExpectExit();
        Assert.Equal((0, "door says acme/one#1"), (report.ExitCode, report.StderrTail));
        Assert.Empty(Door.Open);
    }

    [Fact]
    public void A_standard_error_stays_within_its_limit_while_no_runner_is_there()
    {
        Options = Options with { StderrBytesMax = 20_000 };
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "await", ("LINES", "300000")));
        AwaitUp("one");
        End(runner);
        Release("one");
        AwaitRecord("one");

        var log = File.ReadAllText(Path.Combine(RunDirectoryOf("one"), "stderr.log"));
        Assert.InRange(log.Length, 20_000, 20_100);
        Assert.StartsWith("line 1\nline 2\n", log);
        Assert.Contains("bytes left out]\n", log);
        Assert.EndsWith("line 299999\nline 300000\n", log);
    }

    [Theory]
    [InlineData("polite", 15_000, 0, null)]
    [InlineData("stubborn", 300, null, 9)]
    public void A_container_that_was_taken_up_is_stopped_like_any_other(string mode, int grace, int? code, int? signal)
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, mode));
        AwaitUp("one");
        End(runner);

        StartRunner().Tell(new RunnerCommand.Stop(One, First, TimeSpan.FromMilliseconds(grace)), TestActor);

        var report = ExpectExit();
        Assert.Equal((code, signal), (report.ExitCode, report.Signal));
    }

    [Fact]
    public void A_container_that_was_taken_up_has_a_place()
    {
        Options = Options with { Capacity = 1 };
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "polite"));
        AwaitUp("one");
        End(runner);

        runner = StartRunner();
        runner.Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);
        runner.Tell(new RunnerCommand.RequestSlot(new InstanceId("two"), First, Tenant), TestActor);
        Assert.Equal((1, 1), (StatusOf(runner).Containers, StatusOf(runner).Waiting));
        runner.Tell(new RunnerCommand.Stop(One, First, Patience), TestActor);

        ExpectExit();
        Assert.Equal("two", ExpectMsg<InstanceCommand.SlotGranted>(Patience).Instance.Value);
    }

    [Fact]
    public void A_container_whose_supervisor_is_killed_ends_with_it()
    {
        Launch(StartRunner(), LaunchOf("one", 1, "stubborn"));
        AwaitUp("one");
        var program = ProgramOf("one");

        Libc.Kill(FilesOf("one").SupervisorId()!.Value, Libc.SigKill);

        Assert.Equal(9, ExpectExit().Signal);
        Assert.False(ProcessTable.IsAlive(program));
    }

    [Fact]
    public void A_container_of_which_nothing_is_written_down_has_vanished()
    {
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "stubborn"));
        AwaitUp("one");
        var program = ProgramOf("one");
        End(runner);
        var supervisor = ProcessTable.Find(FilesOf("one").SupervisorId()!.Value)!.Value;
        ProcessTable.Kill(supervisor);
        AwaitAssert(() => Assert.False(ProcessTable.IsAlive(supervisor)), Patience);

        StartRunner().Tell(new RunnerCommand.Watch(One, First, Tenant), TestActor);

        Assert.Equal(First, ExpectMsg<InstanceCommand.AttemptVanished>(Patience).Attempt);
        Assert.False(ProcessTable.IsAlive(program));
        Assert.Empty(LaunchesLeft());
    }

    protected override void AfterAll()
    {
        // What a test left running ends as an orphan does: nothing asks for it any more.
        Options = Options with { StopContainersOnExit = true };
        StartRunner().Ask<RunnerStatus>(GetRunnerStatus.Instance, Patience).GetAwaiter().GetResult();
        base.AfterAll();
    }

    private void End(IActorRef runner)
    {
        Watch(runner);
        // Overtakes what waits.
        Sys.Stop(runner);
        ExpectTerminated(runner, Patience);
    }

    private void Release(string instance) =>
        File.WriteAllText(Path.Combine(RunDirectoryOf(instance), "workspace", "go"), "");

    private void SetBoot(string instance, string? boot)
    {
        var path = Path.Combine(FilesOf(instance).Bundle, "launch.json");
        var note = JsonNode.Parse(File.ReadAllText(path))!;
        Assert.Equal(File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim(), (string?)note["boot"]);
        note["boot"] = boot;
        if (boot is null)
            note.AsObject().Remove("boot");
        File.WriteAllText(path, note.ToJsonString());
    }

    private void AwaitRecord(string instance) =>
        AwaitAssert(() => Assert.NotNull(FilesOf(instance).ReadExit()), Patience, TimeSpan.FromMilliseconds(10));

    private LaunchFiles FilesOf(string instance) => Launches.Of(PathNames.OfContainer(instance));

    private LaunchStore Launches => new(Data);

    private IReadOnlyList<LaunchFiles> LaunchesLeft() => Launches.All();

    // The program may be up before crun has written down its process id.
    private ProcessEntry ProgramOf(string instance)
    {
        AwaitAssert(() => Assert.True(FilesOf(instance).ContainerCameUp), Patience, TimeSpan.FromMilliseconds(10));
        return ProcessTable.Find(int.Parse(File.ReadAllText(FilesOf(instance).PidFile)))!.Value;
    }
}
