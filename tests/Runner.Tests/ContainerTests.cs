using Akka.Actor;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Tests;

public sealed class ContainerTests : RunnerTest
{
    [Fact]
    public void Ours_come_after_the_callers_variables_and_win()
    {
        var launch = LaunchOf("one", 3, "env", ("B", "2"), ("A", "1"), ("RUNTARA_ATTEMPT", "99")) with
        {
            CheckpointId = "step-4",
        };

        var lines = Run(StartRunner(), launch).StderrTail.TrimEnd().Split('\n');

        Assert.Equal(
            [
                "PATH=/usr/bin", "A=1", "B=2", "MODE=env", "RUNTARA_INSTANCE_ID=one", "RUNTARA_TENANT_ID=acme",
                "RUNTARA_SERVER_ADDR=10.0.0.1:8001", "RUNTARA_WORKSPACE_DIR=/data/workspace",
                "RUNTARA_SOCKET=/data/runtara.sock", "RUNTARA_ATTEMPT=3", "RUNTARA_CHECKPOINT_ID=step-4",
            ],
            lines.Where(l => !l.StartsWith("HOME=", StringComparison.Ordinal)));
    }

    [Fact]
    public void Without_a_network_there_is_only_loopback()
    {
        var tail = Run("show", ("FILE", "/proc/net/dev")).StderrTail;

        var interfaces = tail.Split('\n').Where(l => l.Contains(':')).Select(l => l.Split(':')[0].Trim());
        Assert.Equal(["lo"], interfaces);
    }

    [Fact]
    public void With_the_network_of_the_host_there_is_what_the_host_has()
    {
        Options = Options with { NetworkMode = NetworkMode.Host };

        var tail = Run("show", ("FILE", "/proc/net/dev")).StderrTail;

        var ours = File.ReadLines("/proc/net/dev").Where(l => l.Contains(':')).Select(l => l.Split(':')[0].Trim());
        Assert.All(ours, name => Assert.Contains(name + ":", tail));
    }

    [Fact]
    public void A_program_has_no_capability_and_cannot_gain_one()
    {
        var tail = Run("show", ("FILE", "/proc/self/status")).StderrTail;

        Assert.Contains("CapEff:\t0000000000000000", tail);
        Assert.Contains("CapBnd:\t0000000000000000", tail);
        Assert.Contains("NoNewPrivs:\t1", tail);
        Assert.Contains("Seccomp:\t2", tail);
    }

    [Fact]
    public void The_program_reaches_the_door_of_its_attempt_which_is_closed_after_the_exit()
    {
        var report = Run(StartRunner(), LaunchOf("one", 2, "connect"));

        Assert.Equal((0, "door says acme/one#2"), (report.ExitCode, report.StderrTail));
        Assert.Empty(Door.Open);
        Assert.False(File.Exists(Path.Combine(RunDirectoryOf("one"), "runtara.sock")));
    }

    [Fact]
    public void The_input_is_the_original_at_every_attempt_and_an_empty_object_without_one()
    {
        Inputs.Inputs[new InstanceId("one")] = """{"data":1}""";
        var runner = StartRunner();

        Assert.Equal(
            """{"data":1}""", Run(runner, LaunchOf("one", 1, "show", ("FILE", "/data/input.json"))).StderrTail);
        Assert.Equal(
            """{"data":1}""", Run(runner, LaunchOf("one", 2, "show", ("FILE", "/data/input.json"))).StderrTail);
        Assert.Equal("{}", Run(runner, LaunchOf("two", 1, "show", ("FILE", "/data/input.json"))).StderrTail);
    }

    [Fact]
    public void The_workspace_is_kept()
    {
        var runner = StartRunner();
        Run(runner, LaunchOf("one", 1, "count"));

        Assert.Equal("up", Run(runner, LaunchOf("one", 2, "show", ("FILE", "/data/workspace/up"))).StderrTail);
    }

    [Fact]
    public void Links_in_the_run_directory_lead_nowhere()
    {
        var secret = Path.Combine(Data, "secret");
        File.WriteAllText(secret, """{"status":"completed"}""");
        var runner = StartRunner();
        var report = Run(runner, LaunchOf("one", 1, "attack", ("TARGET", secret)));
        Assert.Equal(0, report.ExitCode);
        Assert.Null(report.Output);

        var second = Run(runner, LaunchOf("one", 2, "list", ("FILE", "/data/workspace")));

        Assert.Equal(0, second.ExitCode);
        Assert.Equal([".", ".."], second.StderrTail.TrimEnd().Split('\n').Order());
        Assert.Equal("""{"status":"completed"}""", File.ReadAllText(secret));
        Assert.Equal("{}", File.ReadAllText(Path.Combine(RunDirectoryOf("one"), "input.json")));
        Assert.Null(new FileInfo(Path.Combine(RunDirectoryOf("one"), "input.json")).LinkTarget);
    }

    [Fact]
    public void An_output_beyond_the_limit_is_no_output()
    {
        var report = Run("huge");

        Assert.Equal(0, report.ExitCode);
        Assert.Null(report.Output);
    }

    [Fact]
    public void Ids_of_255_characters_work_and_differ_in_the_last()
    {
        var runner = StartRunner();
        var (a, b) = (new string('x', 254) + "a", new string('x', 254) + "b");
        Launch(runner, LaunchOf(a, 1, "polite"));
        AwaitUp(a);
        Assert.Equal(4, Run(runner, LaunchOf(b, 1, "exit", ("CODE", "4"))).ExitCode);

        runner.Tell(new RunnerCommand.Stop(new InstanceId(a), new Attempt(1), Patience));
        Assert.Equal(0, ExpectExit().ExitCode);
    }

    [Fact]
    public void Twenty_instances_are_launched_at_once()
    {
        var runner = StartRunner();
        for (var i = 1; i <= 20; i++)
            Launch(runner, LaunchOf($"instance-{i}", 1, "polite"));
        for (var i = 1; i <= 20; i++)
            AwaitUp($"instance-{i}");

        for (var i = 1; i <= 20; i++)
            runner.Tell(new RunnerCommand.Stop(new InstanceId($"instance-{i}"), new Attempt(1), Patience));
        var exits = Enumerable.Range(0, 20).Select(_ => ExpectMsg<InstanceCommand.ProcessExited>(Patience)).ToList();

        Assert.Equal(20, exits.Select(e => e.Instance).Distinct().Count());
        Assert.All(exits, e => Assert.Equal(0, e.Report.ExitCode));
    }

    [Fact]
    public void A_freed_slot_goes_to_the_next()
    {
        Options = Options with { Capacity = 1 };
        var runner = StartRunner();
        Launch(runner, LaunchOf("one", 1, "polite"));
        AwaitUp("one");
        runner.Tell(new RunnerCommand.RequestSlot(new InstanceId("two"), new Attempt(1), Tenant), TestActor);

        runner.Tell(new RunnerCommand.Stop(new InstanceId("one"), new Attempt(1), Patience));

        ExpectExit();
        Assert.Equal("two", ExpectMsg<InstanceCommand.SlotGranted>(Patience).Instance.Value);
    }
}
