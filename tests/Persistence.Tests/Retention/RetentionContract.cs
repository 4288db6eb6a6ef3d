using System.Collections.Immutable;
using System.Globalization;
using Akka.Actor;
using Akka.Persistence;
using Akka.TestKit.Xunit2;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Persistence.Projection;
using Runtara.Persistence.Snapshots;
using Runtara.Persistence.Tests.Journal;

namespace Runtara.Persistence.Tests;

/// <summary>What is removed, what is not, and that the id is free afterwards; on both databases.</summary>
public abstract class RetentionContract : TestKit
{
    private static readonly DateTimeOffset Zero = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly RetentionPace Pace = new(500, TimeSpan.Zero, TimeProvider.System);
    private static readonly IReadOnlySet<int> AllShards = Enumerable.Range(0, InstanceShard.Count).ToHashSet();
    private const int SnapshotBytes = 1000;
    private readonly string _prefix = $"r-{Guid.NewGuid():N}";
    private readonly string _writer = Guid.NewGuid().ToString();
    private readonly StoreFixture _fixture;

    protected RetentionContract(StoreFixture fixture) : base(TestSystem.Setup(fixture.Store), "retention") =>
        _fixture = fixture;

    private Persistence.Retention Retention => _fixture.Store.Retention;

    [Fact]
    public async Task Everything_of_an_expired_instance_goes_and_its_numbers_begin_again()
    {
        var id = Id("done");
        Save(id, 1, Life(id));
        await _fixture.ExecuteAsync(
            "INSERT INTO custom_signal (instance_id, number, key, at, payload) "
            + $"SELECT '{id}', 1, 'key', 0, payload FROM journal LIMIT 1");
        await SaveSnapshotAsync(id);
        Assert.Equal("4 1 1 2 0 1 1", await RowsAsync(id));
        var expired = await ExpiredAsync(InstanceStatus.Completed, At(100));
        Assert.Equal(SnapshotBytes + 8, Assert.Single(expired, e => e.Instance == id).Bytes);
        var removed = await RemoveAsync(expired, Nobody);
        Assert.Contains(id, removed);
        Assert.Equal("0 0 0 0 0 0 0", await RowsAsync(id));
        Assert.Null(await _fixture.Store.Catalog.FindInstanceAsync(id, default));
        Save(id, 1, Started(id));
        Assert.Equal((1L, 1), Recover(id));
        Assert.Equal("1 1 0 0 0 0 0", await RowsAsync(id));
    }

    [Fact]
    public async Task Each_status_expires_by_itself_and_what_lives_never()
    {
        var ended = new Dictionary<InstanceStatus, InstanceEvent>
        {
            [InstanceStatus.Completed] = new InstanceEvent.Completed("sha", At(9)) { Output = "out"u8.ToArray() },
            [InstanceStatus.Failed] = new InstanceEvent.Failed("broken", At(9)),
            [InstanceStatus.Cancelled] = new InstanceEvent.Cancelled("enough", At(9)),
        };
        foreach (var (status, end) in ended)
            Save(Id($"{status}"), 1, Started(Id($"{status}")), end);
        Save(Id("pending"), 1, Started(Id("pending")));
        Save(Id("running"), 1, Started(Id("running")), new InstanceEvent.AttemptLaunched(new Attempt(1), null, At(1)));
        Save(
            Id("sleeping"), 1, Started(Id("sleeping")),
            new InstanceEvent.Hibernated(new Attempt(1), "nap", At(9999), At(1)));
        Save(Id("paused"), 1, Started(Id("paused")), new InstanceEvent.Paused(new Attempt(1), At(2)));
        foreach (var status in ended.Keys)
        {
            Assert.Empty(Mine(await ExpiredAsync(status, At(9))));
            Assert.Equal([Id($"{status}")], Mine(await ExpiredAsync(status, At(10))));
        }
        foreach (var status in (InstanceStatus[])[
            InstanceStatus.Pending, InstanceStatus.Running, InstanceStatus.Suspended, InstanceStatus.Unknown])
        {
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await ExpiredAsync(status, At(99)));
        }
        // Even when somebody names them.
        var live = (string[])["pending", "running", "sleeping", "paused"];
        Assert.Empty(await RemoveAsync([.. live.Select(n => new ExpiredInstance(Id(n), At(99999), 0))], Nobody));
        foreach (var name in live)
            Assert.NotEqual("0 0 0 0 0 0 0", await RowsAsync(Id(name)));
    }

    [Fact]
    public async Task An_instance_with_an_actor_or_of_another_node_is_passed_over()
    {
        var (awake, foreign, free) = (Id("awake"), Id("foreign"), Id("free"));
        foreach (var id in (InstanceId[])[awake, foreign, free])
        {
            Save(id, 1, Life(id));
            await SaveSnapshotAsync(id);
        }
        var mine = AllShards.Except([InstanceShard.Of(foreign)]).Concat(
            [InstanceShard.Of(free), InstanceShard.Of(awake)]).ToHashSet();
        var isForeign = !mine.Contains(InstanceShard.Of(foreign));
        var expired = await ExpiredAsync(InstanceStatus.Completed, At(100));
        var removed = await RemoveAsync(expired, new InstancesInMemory(mine, new HashSet<InstanceId> { awake }));
        Assert.Contains(free, removed);
        Assert.DoesNotContain(awake, removed);
        Assert.Equal("4 1 1 2 0 0 1", await RowsAsync(awake));
        Assert.Equal(isForeign, !removed.Contains(foreign));
        Assert.NotEqual((0L, 0), Recover(awake));
    }

    [Fact]
    public async Task Nothing_goes_when_it_cannot_be_told_who_has_an_actor()
    {
        var id = Id("unknown");
        Save(id, 1, Life(id));
        var expired = await ExpiredAsync(InstanceStatus.Completed, At(100));
        await Assert.ThrowsAsync<TimeoutException>(async () => await Retention.RemoveAsync(
            expired, _ => throw new TimeoutException("the shards do not answer"), Pace, default));
        Assert.Equal("4 1 1 2 0 0 0", await RowsAsync(id));
        Assert.Equal((4L, 4), Recover(id));
    }

    [Fact]
    public async Task Who_comes_up_while_it_is_removed_waits_and_finds_nothing()
    {
        var id = Id("returning");
        Save(id, 1, Life(id));
        var (receiver, asked) = (CreateTestProbe(), 0);
        await Retention.RemoveAsync(
            [new ExpiredInstance(id, At(20), 0)],
            _ =>
            {
                // The second time it is held.
                if (++asked == 2)
                    Journal.Tell(new ReplayMessages(1, long.MaxValue, long.MaxValue, id.Value, receiver.Ref));
                return ValueTask.FromResult(Nobody);
            },
            Pace, default);
        receiver.ExpectMsg<RecoverySuccess>();
        Assert.Equal("0 0 0 0 0 0 0", await RowsAsync(id));
    }

    [Fact]
    public async Task Nobody_waits_for_journals_to_be_removed()
    {
        var (gone, awake) = (Id("gone"), Id("awake"));
        Save(gone, 1, Life(gone));
        Save(awake, 1, Life(awake));
        var (states, asked) = (new List<string>(), 0);
        var pauses = new HookedPace(() =>
        {
            // The instance has gone, its journal has not.
            if (RowsAsync(gone).GetAwaiter().GetResult() is not [_, ' ', '0', ..] || states.Count > 0)
                return;
            states.Add($"{Recover(gone)} {Recover(awake)}");
            Save(gone, 5, Started(gone));
        });
        // It is called into memory only when its turn has come.
        var memory = new InstancesInMemory(AllShards, new HashSet<InstanceId> { awake });
        await Retention.RemoveAsync(
            [new ExpiredInstance(gone, At(20), 0), new ExpiredInstance(awake, At(20), 0)],
            _ => ValueTask.FromResult(++asked == 1 ? Nobody : memory),
            new RetentionPace(1, TimeSpan.FromMilliseconds(1), pauses), default);
        Assert.Equal(["(4, 0) (4, 4)"], states);
        Assert.Equal((5L, 1), Recover(gone));
        Assert.Equal("1 1 0 0 1 0 0", await RowsAsync(gone));
    }

    [Fact]
    public async Task A_removal_that_a_crash_cut_short_leaves_a_free_id_and_is_finished_later()
    {
        var id = Id("cut");
        Save(id, 1, Life(id));
        await SaveSnapshotAsync(id);
        using var crash = new CancellationTokenSource();
        var pauses = new CancellingPace(crash, after: 3);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Retention.RemoveAsync(
            [new ExpiredInstance(id, At(20), 0)], _ => ValueTask.FromResult(Nobody),
            new RetentionPace(500, TimeSpan.FromMilliseconds(1), pauses), crash.Token));
        Assert.Equal("4 0 0 0 1 0 0", await RowsAsync(id));
        Assert.Equal((4L, 0), Recover(id));
        Assert.Contains(id, await Retention.FindLeftoversAsync(10_000, default));

        Save(id, 5, Started(id));
        Assert.DoesNotContain(id, await Retention.FindLeftoversAsync(10_000, default));
        Save(id, 6, new InstanceEvent.Failed("again", At(30)));
        Assert.Equal((6L, 2), Recover(id));
        Assert.Equal([id], await RemoveAsync([new ExpiredInstance(id, At(30), 0)], Nobody));
        Assert.Equal("0 0 0 0 0 0 0", await RowsAsync(id));
    }

    [Fact]
    public async Task Leftovers_are_removed_when_nobody_uses_the_id()
    {
        var id = Id("left");
        Save(id, 1, Life(id));
        await _fixture.ExecuteAsync($"DELETE FROM event WHERE instance_id = '{id}'");
        await _fixture.ExecuteAsync($"DELETE FROM checkpoint WHERE instance_id = '{id}'");
        await _fixture.ExecuteAsync($"DELETE FROM instance WHERE instance_id = '{id}'");
        await _fixture.ExecuteAsync($"INSERT INTO journal_deleted VALUES ('{id}', 4)");
        var used = new InstancesInMemory(AllShards, new HashSet<InstanceId> { id });
        await Retention.RemoveLeftoversAsync([id], _ => ValueTask.FromResult(used), Pace, default);
        Assert.Equal("0 0 0 0 1 0 0", await RowsAsync(id));
        Assert.Contains(id, await Retention.FindLeftoversAsync(10_000, default));
        await Retention.RemoveLeftoversAsync([id], _ => ValueTask.FromResult(Nobody), Pace, default);
        Assert.Equal("0 0 0 0 0 0 0", await RowsAsync(id));
    }

    [Fact]
    public async Task Ten_thousand_rows_go_in_batches_while_writers_make_progress()
    {
        var ids = Enumerable.Range(0, 100).Select(i => Id($"big-{i}")).ToList();
        foreach (var id in ids)
        {
            var checkpoints = Enumerable.Range(0, 98).Select(n => (InstanceEvent)new InstanceEvent.CheckpointSaved(
                $"key-{n}", 3, At(2)) { State = "abc"u8.ToArray() });
            Save(id, 1, [Started(id), .. checkpoints, new InstanceEvent.Failed("broken", At(20))]);
        }
        Assert.True(await CountAsync("journal", "persistence_id", $"{_prefix}-big-") >= 10_000);
        using var load = new Load(Sys, $"{_prefix}-load", 4);
        load.Start();
        await load.ProgressAsync(1, TimeSpan.FromSeconds(30));
        var pace = new CountingPace();
        var removing = Task.Run(async () => await Retention.RemoveAsync(
            [.. ids.Select(id => new ExpiredInstance(id, At(20), 0))], _ => ValueTask.FromResult(Nobody),
            new RetentionPace(250, TimeSpan.FromMilliseconds(2), pace), default));
        var rounds = 0;
        while (!removing.IsCompleted)
        {
            // Each writer gets its events acknowledged again and again, however long the removal takes.
            await load.ProgressAsync(1, TimeSpan.FromSeconds(30));
            rounds++;
        }
        await load.StopAsync();
        Assert.Equal(100, (await removing).Count);
        Assert.True(rounds > 5, $"{rounds} rounds of progress");
        Assert.True(pace.Pauses >= 80, $"{pace.Pauses} transactions for 20,000 rows, 250 at a time");
        Assert.Equal(0, load.Killed);
        foreach (var table in (string[])["instance", "checkpoint", "event", "custom_signal", "snapshot"])
            Assert.Equal(0, await CountAsync(table, "instance_id", $"{_prefix}-big-"));
        Assert.Equal(0, await CountAsync("journal", "persistence_id", $"{_prefix}-big-"));
        Assert.Equal(load.Total, await CountAsync("journal", "persistence_id", $"{_prefix}-load-"));
    }

    private static InstancesInMemory Nobody { get; } = new(AllShards, new HashSet<InstanceId>());

    private IActorRef Journal => Akka.Persistence.Persistence.Instance.Apply(Sys).JournalFor(null);

    private static DateTimeOffset At(int seconds) => Zero.AddSeconds(seconds);

    private InstanceId Id(string name) => new($"{_prefix}-{name}");

    private IEnumerable<InstanceId> Mine(IEnumerable<ExpiredInstance> expired) =>
        expired.Select(e => e.Instance).Where(i => i.Value.StartsWith(_prefix, StringComparison.Ordinal));

    private async Task<IReadOnlyList<ExpiredInstance>> ExpiredAsync(InstanceStatus status, DateTimeOffset before) =>
        await Retention.FindExpiredAsync(status, before, AllShards, 10_000, default);

    private async Task<IReadOnlyList<InstanceId>> RemoveAsync(
        IReadOnlyList<ExpiredInstance> expired, InstancesInMemory memory) =>
        await Retention.RemoveAsync(
            [.. expired.Where(e => e.Instance.Value.StartsWith(_prefix, StringComparison.Ordinal))],
            _ => ValueTask.FromResult(memory), Pace, default);

    private static InstanceEvent.Started Started(InstanceId id) => new(
        id, new TenantId("tenant"), new ImageId("image"), "name", "sha", "sha", TimeSpan.FromSeconds(300),
        ImmutableSortedDictionary<string, string>.Empty, 3, Zero) { Input = "input"u8.ToArray() };

    // Four events, one checkpoint, two rows in the event list.
    private static InstanceEvent[] Life(InstanceId id) =>
    [
        Started(id), new InstanceEvent.Hibernated(new Attempt(1), "nap", At(9), At(1)),
        new InstanceEvent.CheckpointSaved("key", 1, At(2)) { State = "a"u8.ToArray() },
        new InstanceEvent.Completed("sha", At(20)) { Output = "out"u8.ToArray() },
    ];

    private void Save(InstanceId id, long from, params InstanceEvent[] events)
    {
        var probe = CreateTestProbe();
        var rows = events.Select((e, i) => (IPersistentRepresentation)new Persistent(
            e, from + i, id.Value, "", false, ActorRefs.NoSender, _writer)).ToImmutableList();
        Journal.Tell(new WriteMessages([new AtomicWrite(rows)], probe.Ref, 1));
        probe.ExpectMsg<WriteMessagesSuccessful>();
    }

    /// <summary>The highest number and how many events came.</summary>
    private (long Highest, int Events) Recover(InstanceId id)
    {
        var receiver = CreateTestProbe();
        Journal.Tell(new ReplayMessages(1, long.MaxValue, long.MaxValue, id.Value, receiver.Ref));
        var events = 0;
        while (true)
        {
            switch (receiver.ReceiveOne(TimeSpan.FromSeconds(10)))
            {
                case ReplayedMessage: events++; break;
                case RecoverySuccess done: return (done.HighestSequenceNr, events);
                case var other: throw new InvalidOperationException($"recovery got {other}");
            }
        }
    }

    /// <summary>A snapshot after the last event of <see cref="Life"/>.</summary>
    private async Task SaveSnapshotAsync(InstanceId id) => await _fixture.Store.Database.SaveSnapshotAsync(
        new SnapshotRow(id.Value, 4, Micros.Of(At(20)), 1, "m", new byte[SnapshotBytes]), default);

    /// <summary>Rows in journal, instance, checkpoint, event, journal_deleted, custom_signal, snapshot.</summary>
    private async Task<string> RowsAsync(InstanceId id)
    {
        var counts = new List<long>();
        foreach (var (table, column) in ((string, string)[])[
            ("journal", "persistence_id"), ("instance", "instance_id"), ("checkpoint", "instance_id"),
            ("event", "instance_id"), ("journal_deleted", "persistence_id"),
            ("custom_signal", "instance_id"), ("snapshot", "instance_id")])
        {
            counts.Add(Convert.ToInt64(
                await _fixture.ExecuteAsync($"SELECT count(*) FROM {table} WHERE {column} = '{id}'"),
                CultureInfo.InvariantCulture));
        }
        return string.Join(' ', counts);
    }

    private async Task<long> CountAsync(string table, string column, string prefix) => Convert.ToInt64(
        await _fixture.ExecuteAsync($"SELECT count(*) FROM {table} WHERE {column} LIKE '{prefix}%'"),
        CultureInfo.InvariantCulture);

    /// <summary>A clock whose pauses are counted.</summary>
    private class CountingPace : TimeProvider
    {
        private int _pauses;

        public int Pauses => _pauses;

        public override ITimer CreateTimer(
            TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Interlocked.Increment(ref _pauses);
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }

    /// <summary>A clock that does something at each of its pauses.</summary>
    private sealed class HookedPace(Action atPause) : TimeProvider
    {
        public override ITimer CreateTimer(
            TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            atPause();
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }

    /// <summary>A clock that cancels at one of its pauses: the process ends between two transactions.</summary>
    private sealed class CancellingPace(CancellationTokenSource crash, int after) : CountingPace
    {
        public override ITimer CreateTimer(
            TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            if (Pauses == after)
                crash.Cancel();
            return timer;
        }
    }
}

public sealed class SqliteRetentionTests(SqliteFixture fixture)
    : RetentionContract(fixture), IClassFixture<SqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class PostgresRetentionTests(PostgresFixture fixture)
    : RetentionContract(fixture), IClassFixture<PostgresFixture>;
