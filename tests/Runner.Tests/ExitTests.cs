using System.Text;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Tests;

public sealed class ExitTests : RunnerTest
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(42)]
    [InlineData(128)]
    [InlineData(255)]
    public void An_exit_code_is_reported(int code)
    {
        var report = Run("exit", ("CODE", code.ToString()));

        Assert.Equal(code, report.ExitCode);
        Assert.Null(report.Signal);
        Assert.False(report.OutOfMemory);
        Assert.Null(report.Output);
    }

    [Fact]
    public void A_fault_is_reported_as_its_signal()
    {
        var report = Run("signal");

        Assert.Null(report.ExitCode);
        Assert.Equal(11, report.Signal);
    }

    [Fact]
    public void A_short_standard_error_is_reported_whole_and_kept_on_disk()
    {
        var report = Run("stderr", ("LINES", "3"), ("CODE", "7"));

        Assert.Equal(7, report.ExitCode);
        Assert.Equal("line 1\nline 2\nline 3\n", report.StderrTail);
        Assert.Equal(report.StderrTail, File.ReadAllText(Path.Combine(RunDirectoryOf("one"), "stderr.log")));
    }

    [Fact]
    public void Of_a_long_standard_error_the_last_4_KiB_are_reported()
    {
        var report = Run("stderr", ("LINES", "100000"));

        Assert.Equal(4096, Encoding.UTF8.GetByteCount(report.StderrTail));
        Assert.EndsWith("line 99999\nline 100000\n", report.StderrTail);
    }

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    public void A_character_that_the_cut_goes_through_is_left_out(string before)
    {
        Inputs.Inputs[new InstanceId("one")] = before + string.Concat(Enumerable.Repeat("€", 3000));

        var tail = Run("show", ("FILE", "/data/input.json")).StderrTail;

        Assert.Equal(new string('€', 4096 / 3), tail);
    }

    [Fact]
    public void A_standard_error_beyond_the_limit_keeps_beginning_and_end()
    {
        Options = Options with { StderrBytesMax = 20_000 };
        Run("stderr", ("LINES", "100000"));

        var log = File.ReadAllText(Path.Combine(RunDirectoryOf("one"), "stderr.log"));
        Assert.InRange(log.Length, 20_000, 20_100);
        Assert.StartsWith("line 1\nline 2\n", log);
        Assert.Contains("bytes left out]\n", log);
        Assert.EndsWith("line 99999\nline 100000\n", log);
    }

    [Fact]
    public void The_output_of_the_program_is_reported()
    {
        const string text = """{ "status": "completed", "result": { "a": [1, 2.50, "x"] }, "extra": 1 }""";

        var output = Run("output", ("TEXT", text)).Output!;

        Assert.Equal(RunOutputStatus.Completed, output.Status);
        Assert.Equal("""{"a":[1,2.50,"x"]}""", Encoding.UTF8.GetString(output.Result.Span));
    }

    [Fact]
    public void An_output_with_a_text_that_is_none_is_reported_all_the_same()
    {
        var report = Run("output", ("TEXT", """{"status":"completed","result":"\ud83d","error":"\udc00"}"""));

        var output = report.Output!;
        Assert.Equal((0, RunOutputStatus.Completed, "\ufffd"), (report.ExitCode, output.Status, output.Error));
        Assert.Equal("\"\ufffd\"", Encoding.UTF8.GetString(output.Result.Span));
    }

    [Theory]
    [InlineData("""{"status":"failed","error":"no such order"}""", true)]
    [InlineData("no output", false)]
    public void An_error_of_crun_is_a_launch_failure_unless_the_program_left_an_output(string text, bool isExit)
    {
        var crun = Path.Combine(Data, "crun.sh");
        File.WriteAllText(crun, """
            #!/bin/sh
            crun "$@"
            code=$?
            for argument; do
                case $argument in *crun.log) echo '{"msg":"cannot tidy up","level":"error"}' >> "${argument#*=}" ;; esac
            done
            exit $code

            """);
        File.SetUnixFileMode(crun, Runner.Files.Modes.Executable);
        Options = Options with { CrunPath = crun };
        Launch(StartRunner(), LaunchOf("one", 1, "output", ("TEXT", text), ("CODE", "1")));

        if (isExit)
        {
            var report = ExpectExit();
            Assert.Equal((1, "no such order"), (report.ExitCode, report.Output?.Error));
        }
        else
            Assert.Contains("cannot tidy up", ExpectMsg<InstanceCommand.LaunchFailed>(Patience).Error);
    }

    [Fact]
    public void The_output_of_an_earlier_attempt_is_gone()
    {
        var runner = StartRunner();
        Assert.NotNull(Run(runner, LaunchOf("one", 1, "output", ("TEXT", """{"status":"failed"}"""))).Output);

        Assert.Null(Run(runner, LaunchOf("one", 2, "exit", ("CODE", "0"))).Output);
    }

    [Fact]
    public void The_time_and_the_memory_that_a_program_used_are_reported()
    {
        var report = Run("stderr", ("LINES", "100000"));

        Assert.InRange(report.CpuMicroseconds!.Value, 1_000, 20_000_000);
        Assert.InRange(report.MemoryPeakBytes!.Value, 100_000, Options.MemoryLimitBytes);
    }

    [Fact]
    public void An_exit_comes_once_and_again_when_its_launch_comes_again()
    {
        var runner = StartRunner();
        var launch = LaunchOf("one", 1, "exit", ("CODE", "0"));
        Run(runner, launch);
        StatusOf(runner);
        Assert.False(HasMessages);

        runner.Tell(launch, TestActor);

        Assert.Equal(0, ExpectExit().ExitCode);
        runner.Tell(new RunnerCommand.Forget(launch.Instance, launch.Attempt), TestActor);
        runner.Tell(launch, TestActor);
        Assert.Equal(launch.Attempt, ExpectMsg<InstanceCommand.AttemptVanished>(Patience).Attempt);
    }
}
