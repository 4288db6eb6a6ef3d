using Akka.Actor;
using Akka.TestKit.Xunit2;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Tests;

/// <summary>
/// A runner over real crun, with a data directory of its own. Where cgroups are not v2 alone these tests need
/// <c>scripts/with-cgroup2</c>.
/// </summary>
public abstract class RunnerTest : TestKit
{
    protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    protected static readonly TenantId Tenant = new("acme");
    private static int _serial;
    private readonly List<IActorRef> _runners = [];

    protected RunnerTest(string config = "") : base("akka.loglevel = WARNING\n" + config)
    {
        Data = Path.Combine(
            Path.GetTempPath(), $"rt-{Environment.ProcessId}-{Interlocked.Increment(ref _serial)}");
        Directory.CreateDirectory(Data);
        Images.Blobs[ProbeProgram.Sha256] = ProbeProgram.Bytes;
        IgnoreMessages(m => m is InstanceCommand.ContainerStarted);
        Options = new RunnerOptions
        {
            DataDirectory = Data,
            Capacity = 100,
            NetworkMode = NetworkMode.None,
            ServerAddress = "10.0.0.1:8001",
            StopGrace = TimeSpan.FromMilliseconds(100),
            StopContainersOnExit = true,
        };
    }

    internal FakeImages Images { get; } = new();

    internal FakeInputs Inputs { get; } = new();

    internal FakeDoor Door { get; } = new();

    protected string Data { get; }

    protected RunnerOptions Options { get; set; }

    protected IActorRef StartRunner()
    {
        var runner = Sys.ActorOf(RunnerActor.Props(Options, TestActor, Door, Inputs, Images, TimeProvider.System));
        _runners.Add(runner);
        return runner;
    }

    protected string RunDirectoryOf(string instance) =>
        Path.Combine(Options.DataDirectory, Tenant.Value, "runs", instance);

    protected static RunnerCommand.Launch LaunchOf(
        string instance, int attempt, string mode, params (string Name, string Value)[] variables)
    {
        var environment = variables.ToDictionary(v => v.Name, v => v.Value);
        environment["MODE"] = mode;
        return new RunnerCommand.Launch(
            new InstanceId(instance), new Attempt(attempt), Tenant, new ImageId("image"), ProbeProgram.Sha256,
            environment, null);
    }

    protected void Launch(IActorRef runner, RunnerCommand.Launch launch)
    {
        runner.Tell(new RunnerCommand.RequestSlot(launch.Instance, launch.Attempt, launch.Tenant));
        FishForMessage<InstanceCommand.SlotGranted>(
            m => m.Instance == launch.Instance && m.Attempt == launch.Attempt, Patience);
        runner.Tell(launch);
    }

    protected ExitReport ExpectExit() => ExpectMsg<InstanceCommand.ProcessExited>(Patience).Report;

    protected ExitReport Run(string mode, params (string Name, string Value)[] variables) =>
        Run(StartRunner(), LaunchOf("one", 1, mode, variables));

    protected ExitReport Run(IActorRef runner, RunnerCommand.Launch launch)
    {
        Launch(runner, launch);
        return ExpectExit();
    }

    /// <summary>Returns when the program of a launch says, in its workspace, that it is up.</summary>
    protected void AwaitUp(string instance)
    {
        var mark = Path.Combine(RunDirectoryOf(instance), "workspace", "up");
        AwaitAssert(() => Assert.True(File.Exists(mark)), Patience, TimeSpan.FromMilliseconds(10));
    }

    /// <summary>The answer comes when everything that the runner was told before is done.</summary>
    protected static RunnerStatus StatusOf(IActorRef runner) =>
        runner.Ask<RunnerStatus>(GetRunnerStatus.Instance, Patience).GetAwaiter().GetResult();

    protected override void AfterAll()
    {
        // The test kit gives a system five seconds to end, whatever still runs then.
        foreach (var runner in _runners)
            runner.GracefulStop(Patience).GetAwaiter().GetResult();
        base.AfterAll();
        Directory.Delete(Data, recursive: true);
    }
}
