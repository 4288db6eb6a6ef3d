using System.Collections.Immutable;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Actors.Tests.Instances;

/// <summary>One instance without Akka: decides, applies, and keeps the clock that the test moves.</summary>
internal sealed class Machine
{
    public static readonly InstanceId Id = new("order-1");
    public static readonly TenantId Tenant = new("acme");
    public static readonly ImageId Image = new("image-1");

    private readonly InstanceDecider _decider;

    public Machine(InstanceSettings? settings = null) => _decider = new InstanceDecider(settings ?? new());

    public DateTimeOffset Now { get; private set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public InstanceState State { get; private set; } = new InstanceState.Absent();

    public List<InstanceEvent> Journal { get; } = [];

    public Decision Last { get; private set; } = Decision.Nothing;

    public DateTimeOffset? Deadline => _decider.NextDeadline(State);

    public Attempt Attempt => ((InstanceState.Existing)State).Facts.Attempt;

    public Machine After(TimeSpan time)
    {
        Now += time;
        return this;
    }

    public Decision Do(InstanceCommand command)
    {
        State = _decider.Hear(State, command, Now);
        Last = _decider.Decide(State, command, Now);
        foreach (var happened in Last.Events)
        {
            State = State.Apply(happened);
            Journal.Add(happened);
        }
        return Last;
    }

    public InstanceReply? Ask(InstanceCommand command) => Do(command).Reply;

    /// <summary>Lets time pass as the shell does: a tick at each deadline on the way.</summary>
    public void Wait(TimeSpan time)
    {
        var until = Now + time;
        while (_decider.NextDeadline(State) is { } deadline && deadline <= until && deadline > Now)
        {
            Now = deadline;
            Do(new InstanceCommand.Tick(Id));
        }
        Now = until;
    }

    /// <summary>What a new life of the actor does about the same journal.</summary>
    public IReadOnlyList<RunnerCommand> Recover()
    {
        State = Journal.Aggregate(
            (InstanceState)new InstanceState.Absent(), (state, happened) => state.Apply(happened));
        return _decider.EffectsOnRecovery(State, Now);
    }

    /// <summary>Puts what was kept of the state in its place.</summary>
    public void Keep(Func<InstanceState, InstanceState> kept) => State = kept(State);

    public static InstanceCommand.Start Start(string input = "{}", int timeoutSeconds = 300) => new(
        Id, Tenant, Image, "orders", new string('a', 64), System.Text.Encoding.UTF8.GetBytes(input),
        TimeSpan.FromSeconds(timeoutSeconds), ImmutableSortedDictionary<string, string>.Empty);

    public Machine Started(int timeoutSeconds = 300)
    {
        Do(Start(timeoutSeconds: timeoutSeconds));
        return this;
    }

    /// <summary>Grants the slot, starts the program and registers the workflow.</summary>
    public Machine Running()
    {
        Launching();
        Do(new InstanceCommand.ContainerStarted(Id, Attempt, Now));
        Do(new InstanceCommand.Register(Id, Tenant, null, Attempt));
        return this;
    }

    /// <summary>Grants the slot.</summary>
    public Machine Launching()
    {
        if (State is InstanceState.Absent)
            Started();
        if (State is InstanceState.Pending { NotBefore: var notBefore } && notBefore > Now)
            Now = notBefore;
        Do(new InstanceCommand.SlotGranted(Id, Attempt.Next()));
        return this;
    }

    public InstanceReply? Save(string key, string state = "1") =>
        Ask(new InstanceCommand.SaveCheckpoint(Id, key, System.Text.Encoding.UTF8.GetBytes(state), Attempt));

    public InstanceReply? Sleep(string key, int seconds) =>
        Ask(new InstanceCommand.Sleep(Id, key, TimeSpan.FromSeconds(seconds), Attempt));

    public Decision Exit(int? code = null, int? signal = null, RunOutput? output = null, string stderr = "") => Do(
        new InstanceCommand.ProcessExited(
            Id, Attempt, new ExitReport(code, signal, false, stderr, output, null, null)));

    public InstanceReply? Complete(string output = "42") => Ask(
        new InstanceCommand.ReportCompleted(Id, System.Text.Encoding.UTF8.GetBytes(output), Attempt));
}
