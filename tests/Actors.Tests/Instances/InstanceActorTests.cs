using System.Collections.Immutable;
using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Event;
using Akka.Persistence;
using Akka.Persistence.Journal;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using static Runtara.Actors.Tests.Instances.Machine;

namespace Runtara.Actors.Tests.Instances;

/// <summary>The shell of an instance: what it does when the journal fails, and what time does to it.</summary>
public sealed class InstanceActorTests : TestKit
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private readonly Clock _clock = new();
    private readonly TestProbe _runner;
    private readonly TestProbe _log;
    private TestProbe _shard = null!;

    public InstanceActorTests()
        : base($$"""
            akka.scheduler.implementation = "Akka.TestKit.TestScheduler, Akka.TestKit"
            akka.loglevel = WARNING
            akka.persistence.journal.plugin = "breaking"
            breaking.class = "{{typeof(BreakingJournal).AssemblyQualifiedName}}"
            """)
    {
        _runner = CreateTestProbe();
        _log = CreateTestProbe();
        Sys.EventStream.Subscribe(_log.Ref, typeof(Warning));
        Sys.EventStream.Subscribe(_log.Ref, typeof(Error));
    }

    /// <summary>A life of the actor, below a shard of its own.</summary>
    private IActorRef Actor(InstanceSettings? settings = null)
    {
        _shard = CreateTestProbe();
        return _shard.ChildActorOf(Props.Create(
            typeof(InstanceActor), Id.Value,
            new InstanceSurroundings(new InstanceDecider(settings ?? new()), _runner.Ref, _clock, 0)));
    }

    private static async Task<InstanceReply> AskAsync(IActorRef actor, InstanceCommand command) =>
        await actor.Ask<InstanceReply>(command, Limit);

    private void Pass(TimeSpan time)
    {
        _clock.Pass(time);
        ((TestScheduler)Sys.Scheduler).Advance(time);
    }

    /// <summary>Everything that the actor was told before is done with.</summary>
    private static Task DoneAsync(IActorRef actor) => AskAsync(actor, new InstanceCommand.GetPresence(Id));

    [Fact]
    public async Task A_pending_instance_asks_for_its_slot_again_every_ten_seconds_whatever_it_is_asked_meanwhile()
    {
        var actor = Actor();
        await AskAsync(actor, Start());
        for (var round = 0; round < 3; round++)
        {
            await _runner.ExpectMsgAsync<RunnerCommand.RequestSlot>(Limit);
            await DoneAsync(actor); // It sets its timer after it has asked.
            Pass(TimeSpan.FromSeconds(9.9));
            await DoneAsync(actor);
            _runner.Tell("nothing");
            Assert.Equal("nothing", await _runner.ExpectMsgAsync<object>(Limit));
            Pass(TimeSpan.FromSeconds(0.1));
        }
        await _runner.ExpectMsgAsync<RunnerCommand.RequestSlot>(Limit);
    }

    [Theory]
    [InlineData(Break.Fail)]
    [InlineData(Break.Reject)]
    public async Task What_is_not_saved_is_not_answered_and_the_next_life_does_not_know_it(Break way)
    {
        var actor = Actor();
        await DoneAsync(actor);
        var watcher = CreateTestProbe();
        watcher.Watch(actor);
        BreakingJournal.Next = way;
        var caller = CreateTestProbe();
        actor.Tell(Start(), caller.Ref);
        await watcher.ExpectTerminatedAsync(actor, Limit);
        Assert.False(caller.HasMessages);
        Assert.False(_runner.HasMessages);
        var line = await _log.ExpectMsgAsync<LogEvent>(Limit);
        Assert.Contains(way == Break.Fail ? "could not save Started: away" : "refused Started", line.ToString());

        actor = Actor();
        Assert.Null(Assert.IsType<InstanceReply.LastHeard>(
            await AskAsync(actor, new InstanceCommand.GetPresence(Id))).HeartbeatAt);
        Assert.IsType<InstanceReply.Accepted>(await AskAsync(actor, Start("[1]")));
    }

    [Fact]
    public async Task What_comes_before_the_rest_is_answered_and_saved_and_the_actor_rests_nevertheless()
    {
        var actor = Actor();
        _shard.Watch(actor);
        Assert.IsType<InstanceReply.Refused>(
            await AskAsync(actor, new InstanceCommand.LookUpCheckpoint(Id, "key", null)));
        var rest = (await _shard.ExpectMsgAsync<Passivate>(Limit)).StopMessage;
        Assert.IsType<InstanceReply.Registered>(
            await AskAsync(actor, new InstanceCommand.Register(Id, Tenant, null, null)));
        actor.Tell(rest);
        await _shard.ExpectTerminatedAsync(actor, Limit);
        Assert.IsType<InstanceReply.CheckpointMissing>(
            await AskAsync(Actor(), new InstanceCommand.LookUpCheckpoint(Id, "key", null)));
    }

    [Fact]
    public async Task A_fault_in_a_decision_is_logged_once_and_restarts_nothing()
    {
        var actor = Actor(new InstanceSettings { BackoffMin = TimeSpan.MaxValue, BackoffMax = TimeSpan.MaxValue });
        await AskAsync(actor, Start());
        actor.Tell(new InstanceCommand.SlotGranted(Id, new Attempt(1)));
        actor.Tell(new InstanceCommand.ProcessExited(
            Id, new Attempt(1), new ExitReport(1, null, false, "", null, null, null)));
        await _runner.FishForMessageAsync(m => m is RunnerCommand.Forget, Limit);
        await _shard.ExpectMsgAsync<Passivate>(Limit);
        Assert.IsType<InstanceReply.Refused>(
            await AskAsync(actor, new InstanceCommand.SendSignal(Id, SignalKind.Pause, default)));
        Assert.NotNull((await _log.ExpectMsgAsync<Error>(Limit)).Cause);
        Assert.False(_log.HasMessages);
    }

    /// <summary>What becomes of the next write.</summary>
    public enum Break
    {
        No, Fail, Reject,
    }

    /// <summary>Keeps events in memory, but for the next ones.</summary>
    private sealed class BreakingJournal : MemoryJournal
    {
        private static int _next;

        internal static Break Next
        {
            set => Interlocked.Exchange(ref _next, (int)value);
        }

        protected override Task<IImmutableList<Exception>> WriteMessagesAsync(
            IEnumerable<AtomicWrite> messages, CancellationToken cancellationToken) =>
            (Break)Interlocked.Exchange(ref _next, (int)Break.No) switch
            {
                Break.Fail => throw new IOException("away"),
                Break.Reject => Task.FromResult<IImmutableList<Exception>>(
                    messages.Select(_ => (Exception)new InvalidDataException("no")).ToImmutableList()),
                _ => base.WriteMessagesAsync(messages, cancellationToken),
            };
    }
}
