using Akka.Actor;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Capabilities;

/// <summary>
/// Stands above the runner of the node and before the instances: commands go down to the runner, its reports go to the
/// tests of capabilities that they are about, and all others to the instances.
/// </summary>
public sealed class ReportRouter : UntypedActor
{
    private readonly CapabilityRuns _tests;
    private readonly IActorRef _instances;
    private readonly IActorRef _runner;

    /// <summary>For <see cref="Props"/>.</summary>
    public ReportRouter(CapabilityRuns tests, IActorRef instances, Func<IActorRef, Props> runner)
    {
        (_tests, _instances) = (tests, instances);
        _runner = Context.ActorOf(runner(Self), "containers");
        tests.UseRunner(Self);
    }

    /// <summary>The router and the runner below it.</summary>
    /// <param name="tests">The tests of this node.</param>
    /// <param name="instances">The shard region.</param>
    /// <param name="runner">Makes the runner; gets what it reports to.</param>
    public static Props Props(CapabilityRuns tests, IActorRef instances, Func<IActorRef, Props> runner) =>
        Akka.Actor.Props.Create(() => new ReportRouter(tests, instances, runner));

    /// <inheritdoc />
    protected override void OnReceive(object message)
    {
        if (message is not InstanceCommand report)
            _runner.Forward(message);
        else if (!_tests.Take(report))
            _instances.Forward(report);
        else if (report is InstanceCommand.ProcessExited exited)
            _runner.Tell(new RunnerCommand.Forget(exited.Instance, exited.Attempt));
    }
}
