using System.Globalization;
using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Persistence;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using Runtara.Actors.Instances;
using Runtara.Actors.Journal;
using Runtara.Actors.Tests.Proof;
using Runtara.Persistence.Tests.Faults;
using Runtara.Persistence.Tests.Journal;

namespace Runtara.Persistence.Tests.Snapshots;

/// <summary>
/// An instance recovers from its newest snapshot and the events after it, and to the same state as from all events. The
/// instance of these tests has two events when it has begun, and one for each checkpoint.
/// </summary>
public abstract class InstanceRecoveryContract : TestKit
{
    private const int Every = 10;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private readonly StoreFixture _fixture;
    private readonly TestProbe _replays;
    private readonly InstanceId _id = new($"i-{Guid.NewGuid():N}");

    protected InstanceRecoveryContract(StoreFixture fixture)
        : base(TestSystem.Setup(fixture.Store, Serializers), "recovery")
    {
        _fixture = fixture;
        _replays = CreateTestProbe();
        Sys.EventStream.Subscribe(_replays.Ref, typeof(ReplayMessages));
    }

    private static string Serializers =>
        $$"""
        akka.actor.serializers.event = "{{typeof(InstanceEventSerializer).AssemblyQualifiedName}}"
        akka.actor.serialization-bindings."{{typeof(InstanceEvent).AssemblyQualifiedName}}" = event
        """;

    [Fact]
    public async Task Only_the_events_after_the_newest_snapshot_are_read()
    {
        var actor = await LiveAsync(Every, 1, 34);
        await SnapshotIsAtAsync(30);
        await StopAsync(actor);

        actor = Start(Every);
        await KnowsAsync(actor, 34);
        Assert.Equal(31, Replayed());
        await SaveAsync(actor, 35);
        Assert.Equal(37L, await ScalarAsync("max(seq)", "journal", "persistence_id"));
        Assert.Equal(37L, await ScalarAsync("count(*)", "journal", "persistence_id"));
    }

    [Fact]
    public async Task The_state_is_the_one_that_all_events_give()
    {
        await StopAsync(await LiveAsync(Every, 1, 38));
        await SnapshotIsAtAsync(40);
        var snapshot = (InstanceSnapshot)Find()!.Snapshot;
        var events = Events();
        Assert.Equal(40, events.Count);
        var state = events.Aggregate((InstanceState)new InstanceState.Absent(), (s, e) => s.Apply(e));
        Assert.Equal(Whole.Of(new InstanceSnapshot(state, events[^1].At)), Whole.Of(snapshot));
    }

    [Theory]
    [InlineData("payload = (SELECT payload FROM journal LIMIT 1)")]
    [InlineData("manifest = 'is2'")]
    public async Task Without_a_snapshot_that_can_be_used_the_whole_journal_is_read(string damage)
    {
        await StopAsync(await LiveAsync(Every, 1, 34));
        await SnapshotIsAtAsync(30);
        await _fixture.ExecuteAsync($"UPDATE snapshot SET {damage} WHERE instance_id = '{_id}'");

        var actor = Start(Every);
        await KnowsAsync(actor, 34);
        Assert.Equal(1, Replayed());
        Assert.Single(_fixture.Log.LinesOf($"The snapshot of {_id} cannot be used"));
        // A recovery that was long makes the next one short.
        await SnapshotIsAtAsync(36);
        await StopAsync(actor);
        await KnowsAsync(Start(Every), 34);
        Assert.Equal(37, Replayed());
    }

    [Fact]
    public async Task With_0_none_is_saved_or_used()
    {
        await StopAsync(await LiveAsync(Every, 1, 34));
        await SnapshotIsAtAsync(30);
        var actor = await LiveAsync(0, 35, 60);
        Assert.Equal(1, Replayed());
        await KnowsAsync(actor, 60);
        Assert.Equal(30L, await ScalarAsync("seq", "snapshot", "instance_id"));
    }

    [Fact]
    public async Task A_journal_that_grew_without_snapshots_gets_one_at_its_next_recovery()
    {
        await StopAsync(await LiveAsync(0, 1, 34));
        Assert.Equal(0L, await ScalarAsync("count(*)", "snapshot", "instance_id"));
        await KnowsAsync(Start(Every), 34);
        await SnapshotIsAtAsync(36);
    }

    [Fact]
    public async Task An_instance_with_many_keys_is_saved_less_often()
    {
        // They are at events 52, 68 and 89: each a quarter of its keys after the one before.
        await StopAsync(await LiveAsync(2, 1, 100));
        await SnapshotIsAtAsync(89);
    }

    [Fact]
    public async Task An_instance_lives_on_where_no_snapshot_can_be_saved_or_read()
    {
        await _fixture.ExecuteAsync("ALTER TABLE snapshot RENAME TO snapshot_elsewhere");
        try
        {
            await StopAsync(await LiveAsync(Every, 1, 34));
            await KnowsAsync(Start(Every), 34);
            Assert.Equal(1, Replayed());
            Assert.NotEmpty(_fixture.Log.LinesOf($"A snapshot of {_id} at event 10 was not saved"));
        }
        finally
        {
            await _fixture.ExecuteAsync("ALTER TABLE snapshot_elsewhere RENAME TO snapshot");
        }
    }

    [Fact]
    public async Task An_instance_that_a_message_brought_up_does_not_rest_before_it_has_answered()
    {
        var shard = CreateTestProbe();
        var actor = shard.ChildActorOf(Instance(Every));
        shard.Send(actor, new InstanceCommand.LookUpCheckpoint(_id, "key", null));
        await shard.ExpectMsgAsync<InstanceReply.Refused>(Limit);
        await shard.ExpectMsgAsync<Passivate>(Limit);

        shard.Send(actor, new InstanceCommand.Register(_id, new TenantId("acme"), null, null));
        await shard.ExpectMsgAsync<InstanceReply.Registered>(Limit);
        shard.Send(actor, new InstanceCommand.LookUpCheckpoint(_id, "key", null));
        await shard.ExpectMsgAsync<InstanceReply.CheckpointMissing>(Limit);
    }

    private IActorRef Start(int every)
    {
        while (_replays.HasMessages)
            _replays.ReceiveOne(Limit);
        return Sys.ActorOf(Instance(every));
    }

    private Props Instance(int every) => Props.Create(
        typeof(InstanceActor), _id.Value,
        new InstanceSurroundings(
            new InstanceDecider(new InstanceSettings()), CreateTestProbe().Ref, TimeProvider.System, every));

    /// <summary>The instance with these checkpoints more.</summary>
    private async Task<IActorRef> LiveAsync(int every, int first, int last)
    {
        var actor = Start(every);
        await AskAsync<InstanceReply.Registered>(
            actor, new InstanceCommand.Register(_id, new TenantId("acme"), null, null));
        for (var n = first; n <= last; n++)
            await SaveAsync(actor, n);
        return actor;
    }

    private Task SaveAsync(IActorRef actor, int number) => AskAsync<InstanceReply.CheckpointStored>(
        actor, new InstanceCommand.SaveCheckpoint(_id, $"key-{number}", new byte[] { 1 }, null));

    private async Task KnowsAsync(IActorRef actor, int checkpoints)
    {
        for (var n = 1; n <= checkpoints; n++)
            await AskAsync<InstanceReply.CheckpointFound>(
                actor, new InstanceCommand.LookUpCheckpoint(_id, $"key-{n}", null));
        await AskAsync<InstanceReply.CheckpointMissing>(
            actor, new InstanceCommand.LookUpCheckpoint(_id, $"key-{checkpoints + 1}", null));
    }

    private static async Task AskAsync<T>(IActorRef actor, InstanceCommand command) =>
        Assert.IsType<T>(await actor.Ask(command, Limit));

    private async Task StopAsync(IActorRef actor)
    {
        var watcher = CreateTestProbe();
        watcher.Watch(actor);
        Sys.Stop(actor);
        await watcher.ExpectTerminatedAsync(actor, Limit);
    }

    /// <summary>The first event that the last recovery asked for.</summary>
    private long Replayed() => _replays.ExpectMsg<ReplayMessages>(Limit).FromSequenceNr;

    private Task SnapshotIsAtAsync(long number) => AwaitAssertAsync(
        async () => Assert.Equal(number, await ScalarAsync("max(seq)", "snapshot", "instance_id")), Limit);

    private SelectedSnapshot? Find()
    {
        var probe = CreateTestProbe();
        Akka.Persistence.Persistence.Instance.Apply(Sys).SnapshotStoreFor(null)
            .Tell(new LoadSnapshot(_id.Value, SnapshotSelectionCriteria.Latest, long.MaxValue), probe.Ref);
        return probe.ExpectMsg<LoadSnapshotResult>(Limit).Snapshot;
    }

    private List<InstanceEvent> Events()
    {
        var probe = CreateTestProbe();
        Akka.Persistence.Persistence.Instance.Apply(Sys).JournalFor(null)
            .Tell(new ReplayMessages(1, long.MaxValue, long.MaxValue, _id.Value, probe.Ref));
        var events = new List<InstanceEvent>();
        while (probe.ReceiveOne(Limit) is ReplayedMessage replayed)
            events.Add((InstanceEvent)replayed.Persistent.Payload);
        return events;
    }

    private async Task<long> ScalarAsync(string what, string table, string column) => Convert.ToInt64(
        await _fixture.ExecuteAsync($"SELECT COALESCE({what}, 0) FROM {table} WHERE {column} = '{_id}'"),
        CultureInfo.InvariantCulture);
}

public sealed class SqliteInstanceRecoveryTests(SqliteFixture fixture)
    : InstanceRecoveryContract(fixture), IClassFixture<SqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class PostgresInstanceRecoveryTests(PostgresFixture fixture)
    : InstanceRecoveryContract(fixture), IClassFixture<PostgresFixture>;

public sealed class FaultySqliteInstanceRecoveryTests(FaultySqliteFixture fixture)
    : InstanceRecoveryContract(fixture), IClassFixture<FaultySqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class FaultyPostgresInstanceRecoveryTests(FaultyPostgresFixture fixture)
    : InstanceRecoveryContract(fixture), IClassFixture<FaultyPostgresFixture>;
