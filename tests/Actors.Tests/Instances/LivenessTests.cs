using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using static Runtara.Actors.Tests.Instances.Machine;

namespace Runtara.Actors.Tests.Instances;

/// <summary>Semantics, row "Liveness": what counts as a sign of life.</summary>
public sealed class LivenessTests
{
    private static readonly Dictionary<string, Func<int, Attempt, InstanceCommand>> Requests = new()
    {
        ["register"] = (_, from) => new InstanceCommand.Register(Id, Tenant, null, from),
        ["new checkpoint"] = (n, from) => new InstanceCommand.SaveCheckpoint(Id, $"k{n}", default, from),
        ["old checkpoint"] = (_, from) => new InstanceCommand.SaveCheckpoint(Id, "k", default, from),
        ["get checkpoint"] = (_, from) => new InstanceCommand.LookUpCheckpoint(Id, "k", from),
        ["sleep"] = (n, from) => new InstanceCommand.Sleep(Id, $"nap{n}", TimeSpan.FromSeconds(1), from),
        ["heartbeat"] = (_, from) => new InstanceCommand.Heartbeat(Id, from),
        ["custom event"] = (_, from) => new InstanceCommand.ReportCustom(Id, "s", null, default, null, from),
        ["poll"] = (_, from) => new InstanceCommand.PollSignals(Id, null, from),
        ["acknowledgement"] = (_, from) => new InstanceCommand.AcknowledgeSignal(Id, SignalKind.Pause, from),
        ["retry"] = (_, from) => new InstanceCommand.RecordRetry(Id, "k", 1, null, from),
    };

    private readonly Machine _m = new();

    public static TheoryData<string> Names => [.. Requests.Keys];

    private Attempt? StopOfTheStale =>
        _m.Journal.OfType<InstanceEvent.StopRequested>().SingleOrDefault(s => s.Reason == StopReason.Stale)?.Attempt;

    private StopReason? Stopped => _m.Journal.OfType<InstanceEvent.StopRequested>().SingleOrDefault()?.Reason;

    // Ten times a wait that alone is no silence, and together would be a long one.
    private void LiveBy(string request)
    {
        for (var round = 0; round < 10; round++)
        {
            _m.Wait(TimeSpan.FromSeconds(100));
            _m.Do(Requests[request](round, _m.Attempt));
            Assert.IsType<InstanceState.Running>(_m.State);
        }
    }

    [Theory, MemberData(nameof(Names))]
    public void Every_request_of_an_attempt_keeps_it_alive(string request)
    {
        _m.Started(timeoutSeconds: 36_000).Running();
        LiveBy(request);
        Assert.Null(StopOfTheStale);
        _m.Wait(TimeSpan.FromSeconds(125));
        Assert.Equal(_m.Attempt, StopOfTheStale);
    }

    [Theory, MemberData(nameof(Names))]
    public void Every_request_of_a_program_that_nobody_launched_keeps_it_alive(string request)
    {
        _m.Do(new InstanceCommand.Register(Id, Tenant, null, null));
        LiveBy(request);
        _m.Wait(TimeSpan.FromSeconds(125));
        Assert.Equal(InstanceStatus.Failed, _m.State.Status);
    }

    [Fact]
    public void An_attempt_that_never_registers_may_be_silent_until_its_timeout()
    {
        _m.Started(timeoutSeconds: 600).Launching();
        _m.Do(new InstanceCommand.ContainerStarted(Id, _m.Attempt, _m.Now));
        _m.Wait(TimeSpan.FromSeconds(599));
        Assert.IsType<InstanceState.Launching>(_m.State);
        Assert.Null(Stopped);
        _m.Wait(TimeSpan.FromSeconds(1));
        Assert.Equal(StopReason.Timeout, Stopped);
        _m.Exit(code: 0, output: new RunOutput(RunOutputStatus.Completed, "1"u8.ToArray(), null, null, null));
        Assert.Equal(InstanceStatus.Completed, _m.State.Status);
    }

    [Fact]
    public void A_request_of_an_older_attempt_keeps_nobody_alive()
    {
        _m.Started(timeoutSeconds: 36_000).Running();
        var first = _m.Attempt;
        _m.Exit(code: 1);
        _m.Running();
        _m.Wait(TimeSpan.FromSeconds(100));
        foreach (var request in Requests.Values)
            _m.Do(request(0, first));
        _m.Wait(TimeSpan.FromSeconds(25));
        Assert.Equal(_m.Attempt, StopOfTheStale);
    }
}
