using System.Collections.Immutable;
using System.Globalization;
using Akka.Actor;
using Akka.Persistence;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Tests.Proof;
using Runtara.Persistence.Tests.Faults;
using Runtara.Persistence.Tests.Journal;

namespace Runtara.Persistence.Tests.Snapshots;

/// <summary>
/// The snapshot store: the newest snapshot of an instance, only beside the event that it follows, and as good as none
/// when it cannot be used. Events and snapshots of these tests are 1 s apart.
/// </summary>
public abstract class SnapshotContract : TestKit
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private static readonly DateTimeOffset Zero = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    private readonly TestProbe _actor;

    protected SnapshotContract(StoreFixture fixture) : base(TestSystem.Setup(fixture.Store), "snapshots")
    {
        Fixture = fixture;
        _actor = CreateTestProbe();
        WriteFive(Id);
    }

    protected StoreFixture Fixture { get; }

    protected string Id { get; } = $"s-{Guid.NewGuid():N}";

    private IActorRef Store => Akka.Persistence.Persistence.Instance.Apply(Sys).SnapshotStoreFor(null);

    [Fact]
    public void There_is_none_before_one_is_saved() => Assert.Null(Find());

    [Fact]
    public void What_was_saved_is_loaded_with_its_number_and_time()
    {
        Save(3);
        var loaded = Find()!;
        Assert.Equal((Id, 3, At(3).UtcDateTime), Metadata(loaded));
        Assert.Equal(Whole.Of(Snapshot(3)), Whole.Of(loaded.Snapshot));
    }

    [Fact]
    public async Task A_newer_one_takes_the_place_and_an_older_one_does_not()
    {
        Save(2);
        Save(4);
        Assert.Equal(4, Find()!.Metadata.SequenceNr);
        Save(3);
        Assert.Equal(4, Find()!.Metadata.SequenceNr);
        Assert.Equal(Whole.Of(Snapshot(4)), Whole.Of(Find()!.Snapshot));
        Assert.Equal(1L, await CountAsync());
    }

    [Theory]
    [InlineData(3, long.MaxValue, true)]
    [InlineData(2, long.MaxValue, false)]
    [InlineData(long.MaxValue, 3, true)]
    [InlineData(long.MaxValue, 2, false)]
    [InlineData(0, long.MaxValue, false)]
    public void One_above_the_number_asked_for_is_not_loaded(long criteria, long to, bool found)
    {
        Save(3);
        Assert.Equal(found, Find(new SnapshotSelectionCriteria(criteria), to) is not null);
    }

    [Theory]
    [InlineData(3, 0, true)]
    [InlineData(2, 0, false)]
    [InlineData(9, 3, true)]
    [InlineData(9, 4, false)]
    public void One_of_another_time_is_not_loaded(int until, int from, bool found)
    {
        Save(3);
        var criteria = new SnapshotSelectionCriteria(
            long.MaxValue, At(until).UtcDateTime, 0, from == 0 ? null : At(from).UtcDateTime);
        Assert.Equal(found, Find(criteria) is not null);
    }

    [Fact]
    public void One_that_was_deleted_is_gone()
    {
        Save(3);
        Store.Tell(new DeleteSnapshot(new SnapshotMetadata(Id, 2, At(2).UtcDateTime)), _actor.Ref);
        _actor.ExpectMsg<DeleteSnapshotSuccess>(Limit);
        Assert.NotNull(Find());
        Store.Tell(new DeleteSnapshot(new SnapshotMetadata(Id, 3, At(3).UtcDateTime)), _actor.Ref);
        _actor.ExpectMsg<DeleteSnapshotSuccess>(m => Assert.Equal(3, m.Metadata.SequenceNr), Limit);
        Assert.Null(Find());
        Save(3);
        Assert.NotNull(Find());
    }

    [Fact]
    public void Deleting_keeps_to_its_bounds()
    {
        Save(3);
        foreach (var other in (SnapshotSelectionCriteria[])[
            new(2), new(long.MaxValue, DateTime.MaxValue, 4), new(long.MaxValue, At(2).UtcDateTime)])
        {
            Store.Tell(new DeleteSnapshots(Id, other), _actor.Ref);
            _actor.ExpectMsg<DeleteSnapshotsSuccess>(Limit);
            Assert.NotNull(Find());
        }
        Store.Tell(new DeleteSnapshots(Id, new SnapshotSelectionCriteria(3)), _actor.Ref);
        _actor.ExpectMsg<DeleteSnapshotsSuccess>(Limit);
        Assert.Null(Find());
    }

    [Fact]
    public async Task One_whose_event_is_not_in_the_journal_is_not_stored()
    {
        Save(6);
        Assert.Equal(0L, await CountAsync());
        // The event has this number, but it is not the one.
        Save(3, Snapshot(4));
        Assert.Equal(0L, await CountAsync());
    }

    [Fact]
    public async Task One_of_an_instance_that_is_gone_is_not_stored()
    {
        await Fixture.ExecuteAsync($"DELETE FROM instance WHERE instance_id = '{Id}'");
        Save(3);
        Assert.Equal(0L, await CountAsync());
    }

    [Fact]
    public async Task One_whose_events_count_no_more_is_neither_stored_nor_loaded()
    {
        Save(3);
        await Fixture.ExecuteAsync($"INSERT INTO journal_deleted VALUES ('{Id}', 4)");
        Assert.Null(Find());
        Save(4);
        Assert.Equal(3L, await NumberAsync());
        Save(5);
        Assert.Equal(5, Find()!.Metadata.SequenceNr);
    }

    [Fact]
    public async Task One_whose_event_is_gone_or_another_is_not_loaded()
    {
        Save(3);
        await Fixture.ExecuteAsync($"UPDATE journal SET at = at + 1 WHERE persistence_id = '{Id}' AND seq = 3");
        Assert.Null(Find());
        await Fixture.ExecuteAsync($"DELETE FROM journal WHERE persistence_id = '{Id}' AND seq = 3");
        Assert.Null(Find());
    }

    [Theory]
    [InlineData("manifest = 'zz9'")]
    [InlineData("serializer = 4242")]
    [InlineData("payload = (SELECT payload FROM journal LIMIT 1)")]
    public async Task One_that_cannot_be_read_is_none_and_a_warning(string damage)
    {
        Save(3);
        await Fixture.ExecuteAsync($"UPDATE snapshot SET {damage} WHERE instance_id = '{Id}'");
        Assert.Null(Find());
        Assert.StartsWith("Warning: ", Assert.Single(Fixture.Log.LinesOf($"The snapshot of {Id} cannot be used")));
        Save(4);
        Assert.Equal(4, Find()!.Metadata.SequenceNr);
    }

    [Fact]
    public void Something_else_is_no_snapshot()
    {
        Store.Tell(new SaveSnapshot(new SnapshotMetadata(Id, 3, default), new Blob("text")), _actor.Ref);
        _actor.ExpectMsg<SaveSnapshotFailure>(m => Assert.IsType<ArgumentException>(m.Cause), Limit);
        Assert.Null(Find());
        Assert.Single(Fixture.Log.LinesOf($"A snapshot of {Id} at event 3 was not saved"));
    }

    [Fact]
    public void Many_are_found_and_not_found_at_once()
    {
        var ids = Enumerable.Range(0, 40).Select(n => $"{Id}-{n}").ToList();
        foreach (var id in ids.Where((_, n) => n % 2 == 0))
        {
            WriteFive(id);
            Store.Tell(new SaveSnapshot(new SnapshotMetadata(id, 3, default), Snapshot(3)), _actor.Ref);
            _actor.ExpectMsg<SaveSnapshotSuccess>(Limit);
        }
        var probes = ids.ConvertAll(_ => CreateTestProbe());
        foreach (var (id, probe) in ids.Zip(probes))
            Store.Tell(new LoadSnapshot(id, SnapshotSelectionCriteria.Latest, long.MaxValue), probe.Ref);
        foreach (var (n, probe) in probes.Index())
        {
            var found = probe.ExpectMsg<LoadSnapshotResult>(Limit).Snapshot;
            Assert.Equal(n % 2 == 0 ? ids[n] : null, found?.Metadata.PersistenceId);
        }
    }

    [Fact]
    public void Who_recovers_while_its_instance_is_removed_waits()
    {
        Save(3);
        using (Fixture.Store.Retention.Hold([Id]))
        {
            Store.Tell(new LoadSnapshot(Id, SnapshotSelectionCriteria.Latest, long.MaxValue), _actor.Ref);
            _actor.ExpectNoMsg(TimeSpan.FromMilliseconds(100));
        }
        _actor.ExpectMsg<LoadSnapshotResult>(Limit);
    }

    [Fact]
    public async Task Health_is_that_of_the_database() => Assert.Equal(
        PersistenceHealthStatus.Healthy,
        (await Akka.Persistence.Persistence.Instance.Apply(Sys)
            .CheckSnapshotStoreHealthAsync(PersistenceHosting.SnapshotPluginId, CancellationToken.None)).Status);

    protected static DateTimeOffset At(long second) => Zero.AddSeconds(second);

    /// <summary>The state after event <paramref name="number"/> of <see cref="WriteFive"/>.</summary>
    protected static InstanceSnapshot Snapshot(long number) => new(
        new InstanceState.Pending(
            new InstanceFacts
            {
                Id = new("i"), Tenant = new("acme"), MaxAttempts = (int)number, Checkpoints = [$"key-{number}"],
                Environment = ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal),
            },
            At(number)),
        At(number));

    protected void WriteFive(string id)
    {
        InstanceEvent[] events =
        [
            new InstanceEvent.Started(
                new InstanceId(id), new TenantId("acme"), new ImageId("image"), "name", "sha", "sha",
                TimeSpan.FromSeconds(300), ImmutableSortedDictionary<string, string>.Empty, 3, At(1)),
            .. Enumerable.Range(2, 4).Select(
                n => new InstanceEvent.RetryRecorded("step", n, null, At(n)) { Request = Guid.NewGuid() }),
        ];
        var rows = events.Select((e, n) => (IPersistentRepresentation)new Persistent(
            e, n + 1, id, "", false, ActorRefs.NoSender, "writer")).ToImmutableList();
        Akka.Persistence.Persistence.Instance.Apply(Sys).JournalFor(null)
            .Tell(new WriteMessages([new AtomicWrite(rows)], _actor.Ref, 1));
        _actor.ExpectMsg<WriteMessagesSuccessful>(Limit);
        foreach (var _ in events)
            _actor.ExpectMsg<WriteMessageSuccess>(Limit);
    }

    protected void Save(long number, InstanceSnapshot? snapshot = null)
    {
        Store.Tell(
            new SaveSnapshot(new SnapshotMetadata(Id, number, default), snapshot ?? Snapshot(number)), _actor.Ref);
        _actor.ExpectMsg<SaveSnapshotSuccess>(m => Assert.Equal(number, m.Metadata.SequenceNr), Limit);
    }

    protected SelectedSnapshot? Find(SnapshotSelectionCriteria? criteria = null, long to = long.MaxValue)
    {
        Store.Tell(new LoadSnapshot(Id, criteria ?? SnapshotSelectionCriteria.Latest, to), _actor.Ref);
        var result = _actor.ExpectMsg<LoadSnapshotResult>(Limit);
        Assert.Equal(to, result.ToSequenceNr);
        return result.Snapshot;
    }

    private static (string, long, DateTime) Metadata(SelectedSnapshot snapshot) =>
        (snapshot.Metadata.PersistenceId, snapshot.Metadata.SequenceNr, snapshot.Metadata.Timestamp);

    protected Task<long> CountAsync() => ScalarAsync("count(*)");

    private Task<long> NumberAsync() => ScalarAsync("max(seq)");

    private async Task<long> ScalarAsync(string what) => Convert.ToInt64(
        await Fixture.ExecuteAsync($"SELECT {what} FROM snapshot WHERE instance_id = '{Id}'"),
        CultureInfo.InvariantCulture);
}

public sealed class SqliteSnapshotTests(SqliteFixture fixture)
    : SnapshotContract(fixture), IClassFixture<SqliteFixture>;

public sealed class FaultySqliteSnapshotTests(FaultySqliteFixture fixture)
    : SnapshotContract(fixture), IClassFixture<FaultySqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class FaultyPostgresSnapshotTests(FaultyPostgresFixture fixture)
    : SnapshotContract(fixture), IClassFixture<FaultyPostgresFixture>;
