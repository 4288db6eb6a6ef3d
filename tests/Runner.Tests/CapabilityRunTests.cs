using System.Text;
using Akka.Actor;
using Microsoft.Extensions.Logging.Abstractions;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Runner.Capabilities;

namespace Runtara.Runner.Tests;

/// <summary>Tests of capabilities through a real runner and real crun.</summary>
public sealed class CapabilityRunTests : RunnerTest
{
    private const string Echo = """{"mode":"echo","result":{"text":"hello"}}""";
    private CapabilityRuns _runs = null!;

    private string Runs => Path.Combine(Data, Tenant.Value, "runs");

    private IActorRef Start()
    {
        Images.Blobs[AgentProgram.Sha256] = AgentProgram.Bytes;
        _runs = new CapabilityRuns(Options, Inputs, Door, TimeProvider.System, NullLogger.Instance);
        return Sys.ActorOf(ReportRouter.Props(
            _runs, TestActor,
            reports => RunnerActor.Props(Options, reports, _runs, _runs, Images, TimeProvider.System)));
    }

    private Task<CapabilityOutcome> TestAsync(
        string input, double seconds = 20, CancellationToken cancellation = default) =>
        _runs.RunAsync(
            new CapabilityTest(
                Tenant, new ImageId("image"), AgentProgram.Sha256, Encoding.UTF8.GetBytes(input),
                TimeSpan.FromSeconds(seconds)),
            cancellation).AsTask();

    private static CapabilityOutcome.Exited Exited(CapabilityOutcome outcome) =>
        Assert.IsType<CapabilityOutcome.Exited>(outcome);

    [Fact]
    public async Task A_result_comes_back_and_nothing_else_remains()
    {
        Start();
        var exited = Exited(await TestAsync(Echo));
        Assert.False(exited.TimedOut);
        Assert.Equal(RunOutputStatus.Completed, exited.Report.Output!.Status);
        Assert.Equal("""{"input":""" + Echo + "}", Encoding.UTF8.GetString(exited.Report.Output.Result.Span));
        Assert.InRange(exited.Took, TimeSpan.FromMilliseconds(1), Patience);
        Assert.Empty(Directory.GetFileSystemEntries(Runs));
        Assert.Empty(Directory.GetFiles(Path.Combine(Data, ".tests")));
        Assert.Empty(Directory.GetDirectories(Path.Combine(Data, "crun")));
        Assert.Empty(Door.Open);
        ExpectNoMsg(TimeSpan.Zero);
    }

    [Fact]
    public async Task A_crash_is_reported_with_exit_code_and_standard_error()
    {
        Start();
        var report = Exited(await TestAsync("""{"mode":"crash"}""")).Report;
        Assert.Equal((3, null, null), (report.ExitCode, report.Signal, report.Output));
        Assert.Contains("it broke", report.StderrTail);
    }

    [Theory]
    [InlineData("polite")]
    [InlineData("stubborn")]
    public async Task A_test_that_takes_too_long_is_ended_and_its_place_is_free_again(string mode)
    {
        Options = Options with { Capacity = 1 };
        Start();
        var exited = Exited(await TestAsync($$"""{"mode":"{{mode}}"}""", seconds: 1));
        Assert.True(exited.TimedOut);
        Assert.Equal(mode == "stubborn" ? 9 : null, exited.Report.Signal);
        Assert.Empty(Directory.GetFileSystemEntries(Runs));
        Assert.False(Exited(await TestAsync(Echo)).TimedOut);
    }

    [Fact]
    public async Task Without_a_place_in_time_it_does_not_run_and_holds_no_place()
    {
        Options = Options with { Capacity = 1 };
        var runner = Start();
        Launch(runner, LaunchOf("holder", 1, "sleep"));
        AwaitUp("holder");
        Assert.IsType<CapabilityOutcome.NoPlace>(await TestAsync(Echo, seconds: 0.2));
        runner.Tell(new RunnerCommand.Stop(new InstanceId("holder"), new Attempt(1), TimeSpan.Zero));
        ExpectExit();
        Assert.False(Exited(await TestAsync(Echo)).TimedOut);
    }

    [Fact]
    public async Task An_image_whose_bytes_are_missing_is_not_started()
    {
        Start();
        Images.Blobs.Clear();
        var refused = Assert.IsType<CapabilityOutcome.NotStarted>(await TestAsync(Echo));
        Assert.Contains("not in the store", refused.Error);
    }

    [Fact]
    public async Task A_caller_who_leaves_ends_the_test()
    {
        Options = Options with { Capacity = 1 };
        Start();
        using var leaving = new CancellationTokenSource();
        var test = TestAsync("""{"mode":"stubborn"}""", cancellation: leaving.Token);
        await AwaitConditionAsync(
            () => Task.FromResult(Directory.Exists(Runs)
                && Directory.GetFiles(Runs, "up", SearchOption.AllDirectories).Length > 0),
            Patience);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => test);
        Assert.Empty(Directory.GetFileSystemEntries(Runs));
        Assert.False(Exited(await TestAsync(Echo)).TimedOut);
    }

    [Fact]
    public async Task What_an_earlier_daemon_left_of_a_test_is_removed()
    {
        var left = Path.Combine(Runs, "test-1", "workspace");
        var note = Path.Combine(Data, ".tests", "test-1");
        Directory.CreateDirectory(left);
        Directory.CreateDirectory(Path.GetDirectoryName(note)!);
        File.WriteAllText(note, Tenant.Value);
        Start();
        await AwaitConditionAsync(() => Task.FromResult(!File.Exists(note)), Patience);
        Assert.Empty(Directory.GetFileSystemEntries(Runs));
    }

    [Fact]
    public void Instances_go_on_past_the_router()
    {
        var runner = Start();
        Inputs.Inputs[new InstanceId("one")] = "{\"of\":\"the instance\"}";
        var report = Run(runner, LaunchOf("one", 1, "show", ("FILE", "/data/input.json")));
        Assert.Contains("the instance", report.StderrTail);
    }
}
