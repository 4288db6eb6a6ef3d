using System.Collections.Immutable;
using Akka.Actor;
using Akka.Persistence;
using Akka.TestKit;
using Akka.TestKit.Xunit2;

namespace Runtara.Persistence.Tests.Journal;

/// <summary>
/// What any Akka.Persistence journal must do: the cases of Akka.Persistence.TCK's JournalSpec, which is not published
/// for this version, and what our own design adds.
/// </summary>
public abstract class JournalContract : TestKit
{
    private static int s_ids;
    private readonly string _id = $"pid-{Interlocked.Increment(ref s_ids)}-{Guid.NewGuid():N}";
    private readonly string _writer = Guid.NewGuid().ToString();
    private readonly TestProbe _receiver;

    protected JournalContract(StoreFixture fixture) : base(TestSystem.Setup(fixture.Store), "journal")
    {
        Fixture = fixture;
        _receiver = CreateTestProbe();
        WriteFive(_id);
    }

    protected StoreFixture Fixture { get; }

    protected IActorRef Journal => Akka.Persistence.Persistence.Instance.Apply(Sys).JournalFor(null);

    [Theory]
    [InlineData(1, long.MaxValue, long.MaxValue, 1, 5)]
    [InlineData(0, long.MaxValue, long.MaxValue, 1, 5)]
    [InlineData(3, long.MaxValue, long.MaxValue, 3, 5)]
    [InlineData(1, 3, long.MaxValue, 1, 3)]
    [InlineData(1, long.MaxValue, 3, 1, 3)]
    [InlineData(2, 3, long.MaxValue, 2, 3)]
    [InlineData(2, 5, 2, 2, 3)]
    [InlineData(2, 2, long.MaxValue, 2, 2)]
    [InlineData(2, 4, 1, 2, 2)]
    [InlineData(2, 4, 0, 1, 0)]
    [InlineData(3, 2, long.MaxValue, 1, 0)]
    public void A_replay_keeps_to_its_bounds_and_its_count(long from, long to, long max, int first, int last)
    {
        Replay(from, to, max);
        for (var i = first; i <= last; i++)
            ExpectReplayed(i);
        _receiver.ExpectMsg<RecoverySuccess>(m => Assert.Equal(5, m.HighestSequenceNr));
    }

    [Fact]
    public void An_unknown_id_has_no_events()
    {
        Journal.Tell(new ReplayMessages(0, long.MaxValue, long.MaxValue, "nobody", _receiver.Ref));
        _receiver.ExpectMsg<RecoverySuccess>(m => Assert.Equal(0, m.HighestSequenceNr));
    }

    [Fact]
    public void A_search_for_a_snapshot_finds_out_who_has_no_events_and_never_had_any()
    {
        LookForSnapshot("nobody");
        LookForSnapshot(_id);
        Assert.True(Fixture.Store.NewIds.Take("nobody"));
        Assert.False(Fixture.Store.NewIds.Take("nobody"));
        Assert.False(Fixture.Store.NewIds.Take(_id));
        Delete(long.MaxValue);
        LookForSnapshot(_id);
        Assert.False(Fixture.Store.NewIds.Take(_id));
    }

    [Fact]
    public void What_is_written_after_the_search_for_a_snapshot_is_replayed()
    {
        var id = $"late-{_id}";
        LookForSnapshot(id);
        WriteFive(id);
        Journal.Tell(new ReplayMessages(1, long.MaxValue, long.MaxValue, id, _receiver.Ref));
        for (var i = 1; i <= 5; i++)
            _receiver.ExpectMsg<ReplayedMessage>(m => Assert.Equal(i, m.Persistent.SequenceNr));
        _receiver.ExpectMsg<RecoverySuccess>(m => Assert.Equal(5, m.HighestSequenceNr));
    }

    [Fact]
    public void Deleted_events_are_not_replayed_and_keep_the_highest_number()
    {
        var commands = CreateTestProbe();
        Sys.EventStream.Subscribe(commands.Ref, typeof(DeleteMessagesTo));
        Delete(3);
        commands.ExpectMsg<DeleteMessagesTo>(m => Assert.Equal((_id, 3), (m.PersistenceId, m.ToSequenceNr)));
        Replay(1, long.MaxValue, long.MaxValue);
        ExpectReplayed(4);
        ExpectReplayed(5);
        _receiver.ExpectMsg<RecoverySuccess>(m => Assert.Equal(5, m.HighestSequenceNr));
    }

    [Fact]
    public void Deleting_everything_keeps_the_highest_number()
    {
        Delete(long.MaxValue);
        Replay(0, long.MaxValue, long.MaxValue);
        _receiver.ExpectMsg<RecoverySuccess>(m => Assert.Equal(5, m.HighestSequenceNr));
        Delete(long.MaxValue);
        Replay(0, long.MaxValue, long.MaxValue);
        _receiver.ExpectMsg<RecoverySuccess>(m => Assert.Equal(5, m.HighestSequenceNr));
    }

    [Fact]
    public void An_event_comes_back_as_it_was_written()
    {
        var probe = CreateTestProbe();
        Journal.Tell(new WriteMessages([Write(_id, 6, new Blob("six"))], probe.Ref, 1), probe.Ref);
        probe.ExpectMsg<WriteMessagesSuccessful>();
        probe.ExpectMsg<WriteMessageSuccess>(m => AssertSix(m.Persistent));
        Replay(6, long.MaxValue, long.MaxValue);
        _receiver.ExpectMsg<ReplayedMessage>(m => AssertSix(m.Persistent));
        _receiver.ExpectMsg<RecoverySuccess>(m => Assert.Equal(6, m.HighestSequenceNr));

        void AssertSix(IPersistentRepresentation p) => Assert.Equal(
            (_writer, _id, 6L, new Blob("six")), (p.WriterGuid, p.PersistenceId, p.SequenceNr, p.Payload));
    }

    [Fact]
    public void An_event_that_cannot_be_serialized_is_rejected_alone()
    {
        var probe = CreateTestProbe();
        Journal.Tell(
            new WriteMessages(
                [Write(_id, 6, "b-6"), Write(_id, 7, new Unserializable()), Write(_id, 8, "b-8")], probe.Ref, 1));
        probe.ExpectMsg<WriteMessagesSuccessful>();
        probe.ExpectMsg<WriteMessageSuccess>(m => Assert.Equal(6, m.Persistent.SequenceNr));
        probe.ExpectMsg<WriteMessageRejected>(m => Assert.Equal(7, m.Persistent.SequenceNr));
        probe.ExpectMsg<WriteMessageSuccess>(m => Assert.Equal(8, m.Persistent.SequenceNr));
    }

    [Fact]
    public void A_missing_event_fails_the_replay()
    {
        var probe = CreateTestProbe();
        Journal.Tell(new WriteMessages([Write(_id, 7, "b-7")], probe.Ref, 1));
        probe.ExpectMsg<WriteMessagesSuccessful>();
        Replay(1, long.MaxValue, long.MaxValue);
        for (var i = 1; i <= 5; i++)
            ExpectReplayed(i);
        _receiver.ExpectMsg<ReplayMessagesFailure>(m => Assert.Contains("Event 6", m.Cause.Message));
    }

    [Fact]
    public void Senders_and_looped_messages_are_preserved_in_order()
    {
        var (probe, sender) = (CreateTestProbe(), CreateTestProbe());
        var written = new AtomicWrite(new Persistent("x", 6, _id, "", false, sender.Ref, _writer));
        Journal.Tell(new WriteMessages([written, new Loop("loop", sender.Ref)], probe.Ref, 7));
        probe.ExpectMsg<WriteMessagesSuccessful>();
        probe.ExpectMsg<WriteMessageSuccess>(m => Assert.Equal(7, m.ActorInstanceId));
        Assert.Equal(sender.Ref, probe.LastSender);
        probe.ExpectMsg<LoopMessageSuccess>(m => Assert.Equal("loop", m.Message));
        Assert.Equal(sender.Ref, probe.LastSender);
    }

    [Fact]
    public void An_atomic_write_with_a_taken_number_is_stored_not_at_all()
    {
        var probe = CreateTestProbe();
        var both = new AtomicWrite(ImmutableList.Create<IPersistentRepresentation>(
            Event(_id, 6, "new"), Event(_id, 5, "taken")));
        Journal.Tell(new WriteMessages([both], probe.Ref, 1));
        probe.ExpectMsg<WriteMessagesFailed>();
        probe.ExpectMsg<WriteMessageFailure>(m => Assert.Equal(6, m.Persistent.SequenceNr));
        probe.ExpectMsg<WriteMessageFailure>(m => Assert.Equal(5, m.Persistent.SequenceNr));
        Replay(1, long.MaxValue, 0);
        _receiver.ExpectMsg<RecoverySuccess>(m => Assert.Equal(5, m.HighestSequenceNr));
    }

    [Fact]
    public void After_a_failure_nothing_later_of_that_id_is_stored()
    {
        var probe = CreateTestProbe();
        Journal.Tell(
            new WriteMessages(
                [Event("5 is taken", 5), Event("6 would leave a hole", 6)], probe.Ref, 1));
        probe.ExpectMsg<WriteMessagesFailed>();
        probe.ExpectMsg<WriteMessageFailure>();
        probe.ExpectMsg<WriteMessageFailure>();
        Replay(1, long.MaxValue, 0);
        _receiver.ExpectMsg<RecoverySuccess>(m => Assert.Equal(5, m.HighestSequenceNr));

        AtomicWrite Event(string text, long number) =>
            new(new Persistent(text, number, _id, "", false, null, "zombie"));
    }

    [Fact]
    public void Ids_do_not_see_each_other()
    {
        var ids = Enumerable.Range(0, 3).Select(i => $"{_id}/{i}").ToList();
        ids.ForEach(WriteFive);
        foreach (var id in ids)
        {
            Journal.Tell(new ReplayMessages(1, long.MaxValue, long.MaxValue, id, _receiver.Ref));
            for (var i = 1; i <= 5; i++)
                _receiver.ExpectMsg<ReplayedMessage>(m => Assert.Equal(id, m.Persistent.PersistenceId));
            _receiver.ExpectMsg<RecoverySuccess>(m => Assert.Equal(5, m.HighestSequenceNr));
        }
    }

    [Fact]
    public void Events_of_several_megabytes_come_back_whole()
    {
        var probe = CreateTestProbe();
        var text = new string('x', 5_000_000);
        Journal.Tell(new WriteMessages([Write(_id, 6, new Blob(text))], probe.Ref, 1));
        probe.ExpectMsg<WriteMessagesSuccessful>();
        Replay(6, 6, 1);
        _receiver.ExpectMsg<ReplayedMessage>(m => Assert.Equal(text, ((Blob)m.Persistent.Payload).Text));
    }

    [Fact]
    public void Of_two_writers_of_one_id_exactly_one_wins_each_number()
    {
        const int numbers = 50;
        var probe = CreateTestProbe();
        for (var number = 6; number < 6 + numbers; number++)
        {
            foreach (var writer in (string[])["one", "two"])
            {
                Journal.Tell(new WriteMessages(
                    [new AtomicWrite(new Persistent("x", number, _id, "", false, null, writer))], probe.Ref, 1));
            }
        }
        var replies = Enumerable.Range(0, numbers * 4).Select(_ => probe.ReceiveOne(TimeSpan.FromSeconds(10))).ToList();
        Assert.Equal(numbers, replies.OfType<WriteMessageFailure>().Count());
        var won = replies.OfType<WriteMessageSuccess>().Select(m => m.Persistent.SequenceNr);
        Assert.Equal(Enumerable.Range(6, numbers).Select(n => (long)n), won.Order());
    }

    [Fact]
    public void A_bad_row_fails_alone_among_its_neighbours()
    {
        var probe = CreateTestProbe();
        const int writers = 100;
        for (var i = 0; i < writers; i++)
        {
            var write = i == 37
                ? new AtomicWrite(new Persistent("taken", 3, _id, "", false, ActorRefs.NoSender, "another writer"))
                : Write($"{_id}/{i}", 1, "fine");
            Journal.Tell(new WriteMessages([write], probe.Ref, i));
        }
        var replies = Enumerable.Range(0, writers * 2).Select(_ => probe.ReceiveOne(TimeSpan.FromSeconds(10))).ToList();
        Assert.Equal(37, Assert.Single(replies.OfType<WriteMessageFailure>()).ActorInstanceId);
        Assert.Equal(writers - 1, replies.OfType<WriteMessageSuccess>().Count());
    }

    [Fact]
    public void A_replay_waits_behind_the_writes_of_its_id()
    {
        var probe = CreateTestProbe();
        for (var number = 6; number <= 200; number++)
            Journal.Tell(new WriteMessages([Write(_id, number, "x")], probe.Ref, 1));
        Replay(1, long.MaxValue, 0);
        _receiver.ExpectMsg<RecoverySuccess>(m => Assert.Equal(200, m.HighestSequenceNr));
    }

    [Fact]
    public void A_persistent_actor_lives_on_it()
    {
        var first = Sys.ActorOf(Props.Create(typeof(Counter), _id + "/actor"));
        for (var i = 0; i < 100; i++)
            first.Tell("count", TestActor);
        for (var i = 1; i <= 100; i++)
            ExpectMsg(i);
        Watch(first);
        first.Tell("stop");
        ExpectTerminated(first);
        Sys.ActorOf(Props.Create(typeof(Counter), _id + "/actor")).Tell("count", TestActor);
        ExpectMsg(101);
    }

    [Fact]
    public async Task It_reports_its_health()
    {
        var health = await Akka.Persistence.Persistence.Instance.Apply(Sys)
            .CheckJournalHealthAsync(PersistenceHosting.PluginId, CancellationToken.None);
        Assert.Equal(PersistenceHealthStatus.Healthy, health.Status);
    }

    protected AtomicWrite Write(string id, long number, object payload) => new(Event(id, number, payload));

    private Persistent Event(string id, long number, object payload) =>
        new(payload, number, id, "", false, ActorRefs.NoSender, _writer);

    private void WriteFive(string id)
    {
        var probe = CreateTestProbe();
        var last = new AtomicWrite(ImmutableList.Create<IPersistentRepresentation>(
            Event(id, 4, "a-4"), Event(id, 5, "a-5")));
        Journal.Tell(
            new WriteMessages([.. Enumerable.Range(1, 3).Select(i => Write(id, i, $"a-{i}")), last], probe.Ref, 1));
        probe.ExpectMsg<WriteMessagesSuccessful>();
        for (var i = 1; i <= 5; i++)
            probe.ExpectMsg<WriteMessageSuccess>(m => Assert.Equal((object)$"a-{i}", m.Persistent.Payload));
    }

    private void Replay(long from, long to, long max) =>
        Journal.Tell(new ReplayMessages(from, to, max, _id, _receiver.Ref));

    private void LookForSnapshot(string id)
    {
        Akka.Persistence.Persistence.Instance.Apply(Sys).SnapshotStoreFor(null).Tell(
            new LoadSnapshot(id, SnapshotSelectionCriteria.Latest, long.MaxValue), _receiver.Ref);
        _receiver.ExpectMsg<LoadSnapshotResult>(m => Assert.Null(m.Snapshot));
    }

    private void ExpectReplayed(long number) => _receiver.ExpectMsg<ReplayedMessage>(m => Assert.Equal(
        (_id, number, (object)$"a-{number}", false),
        (m.Persistent.PersistenceId, m.Persistent.SequenceNr, m.Persistent.Payload, m.Persistent.IsDeleted)));

    private void Delete(long to)
    {
        Journal.Tell(new DeleteMessagesTo(_id, to, _receiver.Ref));
        _receiver.ExpectMsg<DeleteMessagesSuccess>(m => Assert.Equal(to, m.ToSequenceNr));
    }
}

/// <summary>What a persistent actor defers until after its writes.</summary>
public sealed record Loop(object Payload, IActorRef Sender) : IPersistentEnvelope
{
    public int Size => 1;
}

/// <summary>Counts what it is told, durably.</summary>
public sealed class Counter(string id) : UntypedPersistentActor
{
    private int _count;

    public override string PersistenceId { get; } = id;

    protected override void OnCommand(object message)
    {
        if (message is "stop")
            Context.Stop(Self);
        else if (message is "count")
            Persist(new Blob("count"), _ => Sender.Tell(++_count));
    }

    protected override void OnRecover(object message)
    {
        if (message is Blob)
            _count++;
    }
}

public sealed class SqliteJournalTests(SqliteFixture fixture) : JournalContract(fixture), IClassFixture<SqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class PostgresJournalTests(PostgresFixture fixture)
    : JournalContract(fixture), IClassFixture<PostgresFixture>;
