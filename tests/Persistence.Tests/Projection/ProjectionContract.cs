using System.Collections.Immutable;
using System.Text;
using Akka.Actor;
using Akka.Persistence;
using Akka.TestKit.Xunit2;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Persistence.Tests.Journal;

namespace Runtara.Persistence.Tests.Projection;

/// <summary>What each event does to the catalog, seen through the queries.</summary>
public abstract class ProjectionContract : TestKit
{
    private static readonly DateTimeOffset Zero = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    private static int s_ids;
    private readonly InstanceId _id = new($"instance-{Interlocked.Increment(ref s_ids)}-{Guid.NewGuid():N}");
    private readonly string _writer = Guid.NewGuid().ToString();
    private readonly StoreFixture _fixture;
    private long _number;

    protected ProjectionContract(StoreFixture fixture) : base(TestSystem.Setup(fixture.Store), "projection") =>
        _fixture = fixture;

    private Store Store => _fixture.Store;

    private Attempt One { get; } = new(1);

    [Fact]
    public async Task A_start_makes_a_pending_row()
    {
        Save(Started());
        var row = await RowAsync();
        Assert.Equal(
            (_id, new TenantId("tenant"), InstanceStatus.Pending, Attempt.None, new ImageId("image"), "name"),
            (row.Id, row.Tenant, row.Status, row.Attempt, row.Image!.Value, row.ImageName));
        Assert.Equal((1, 3, TimeSpan.FromSeconds(300)), (row.RetryCount, row.MaxRetries, row.Timeout));
        Assert.Equal((Zero, null, null, null), (row.CreatedAt, row.StartedAt, row.FinishedAt, row.WakeAt));
        Assert.Equal("input", Encoding.UTF8.GetString(row.Input!.Value.Span));
        Assert.Null(row.Output);
        Assert.Equal("input", Encoding.UTF8.GetString((await Store.ReadInputAsync(_id, default)).Span));
        Assert.Contains(_id, await Store.ReadLiveAsync(InstanceShard.Of(_id), default));
    }

    [Fact]
    public async Task A_self_registration_makes_a_running_row_without_an_image()
    {
        Save(new InstanceEvent.SelfRegistered(_id, new TenantId("tenant"), Zero));
        var row = await RowAsync();
        Assert.Equal((InstanceStatus.Running, null, Zero), (row.Status, row.Image, row.StartedAt));
        Assert.Equal(0, (await Store.ReadInputAsync(_id, default)).Length);
    }

    [Fact]
    public async Task A_launch_and_a_registration_make_it_running()
    {
        Save(Started(), new InstanceEvent.AttemptLaunched(One, null, At(1)));
        Assert.Equal((InstanceStatus.Running, One, null), await StateAsync(r => r.StartedAt));
        Save(new InstanceEvent.AttemptRegistered(One, "here", At(2)));
        Save(new InstanceEvent.AttemptRegistered(One.Next(), null, At(3)));
        Assert.Equal((InstanceStatus.Running, One.Next(), At(2)), await StateAsync(r => r.StartedAt));
        Assert.Equal("here", await EventAsync("started", "checkpoint_id"));
        Assert.Equal(2L, await CountEventsAsync("started"));
    }

    [Fact]
    public async Task A_checkpoint_is_kept_and_found()
    {
        Save(Started());
        Save(new InstanceEvent.CheckpointSaved("a", 3, At(1)) { State = "aaa"u8.ToArray() },
            new InstanceEvent.CheckpointSaved("b", 0, At(2)));
        Assert.Equal("b", (await RowAsync()).CheckpointId);
        var reads = Enumerable.Range(0, 300).Select(_ => Store.Catalog.ReadCheckpointAsync(_id, "a", default).AsTask());
        foreach (var state in await Task.WhenAll(reads))
            Assert.Equal("aaa", Encoding.UTF8.GetString(state!.Value.Span));
        Assert.Equal(0, (await Store.Catalog.ReadCheckpointAsync(_id, "b", default))!.Value.Length);
        Assert.Null(await Store.Catalog.ReadCheckpointAsync(_id, "c", default));
        Assert.Null(await Store.Catalog.ReadCheckpointAsync(new InstanceId("nobody"), "a", default));
    }

    [Fact]
    public async Task A_hibernation_sets_the_wake_time_and_a_wake_clears_it()
    {
        Save(Started(), new InstanceEvent.SleepScheduled("nap", At(100), At(1)));
        Assert.Null((await RowAsync()).CheckpointId);
        Save(new InstanceEvent.Hibernated(One, "nap", At(100), At(2)));
        Assert.Equal((InstanceStatus.Suspended, Attempt.None, At(100)), await StateAsync(r => r.WakeAt));
        Assert.Equal("nap", (await RowAsync()).CheckpointId);
        Assert.Equal(1L, await CountEventsAsync("suspended"));
        Assert.Contains((_id, At(100)), await DueAsync(At(101)));
        Assert.DoesNotContain((_id, At(100)), await DueAsync(At(100)));
        Assert.DoesNotContain(_id, await Store.ReadLiveAsync(InstanceShard.Of(_id), default));
        Save(new InstanceEvent.Woken(false, At(100)));
        Assert.Equal((InstanceStatus.Pending, Attempt.None, null), await StateAsync(r => r.WakeAt));
        Assert.DoesNotContain((_id, At(100)), await DueAsync(At(101)));
    }

    [Fact]
    public async Task A_pause_suspends_without_a_wake_time()
    {
        Save(Started(), new InstanceEvent.Hibernated(One, "nap", At(100), At(1)), new InstanceEvent.Paused(One, At(2)));
        Assert.Equal((InstanceStatus.Suspended, Attempt.None, null), await StateAsync(r => r.WakeAt));
        Assert.Equal(2L, await CountEventsAsync("suspended"));
    }

    [Fact]
    public async Task A_pause_that_names_a_checkpoint_shows_it()
    {
        Save(Started(), new InstanceEvent.CheckpointSaved("a", 1, At(1)));
        Save(new InstanceEvent.Paused(One, At(2)) { CheckpointId = "named" });
        Assert.Equal("named", (await RowAsync()).CheckpointId);
        Assert.Equal("named", await EventAsync("suspended", "checkpoint_id"));
        Save(new InstanceEvent.Paused(One, At(3)));
        Assert.Equal("named", (await RowAsync()).CheckpointId);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_wake_and_a_loss_show_a_count_that_begins_anew(bool lost)
    {
        Save(Started(), new InstanceEvent.AttemptCrashed(One, "boom", 3, 2, At(5), At(2)));
        Save(lost ? new InstanceEvent.AttemptLost(One, "gone", At(6)) : new InstanceEvent.Woken(true, At(6)));
        Assert.Equal((InstanceStatus.Pending, Attempt.None, 3), await StateAsync(r => r.RetryCount));
        Save(lost
            ? new InstanceEvent.AttemptLost(One, "gone", At(7)) { RetryCount = 1 }
            : new InstanceEvent.Woken(true, At(7)) { RetryCount = 1 });
        Assert.Equal((InstanceStatus.Pending, Attempt.None, 1), await StateAsync(r => r.RetryCount));
    }

    [Fact]
    public async Task An_exit_leaves_stderr_and_metrics_and_no_status()
    {
        Save(Started(), new InstanceEvent.AttemptLaunched(One, null, At(1)));
        Save(new InstanceEvent.AttemptExited(One, 1, null, false, "oh\0no\ud800", 1000, 2000, At(2)));
        var row = await RowAsync();
        Assert.Equal((InstanceStatus.Running, "oh\ufffdno\ufffd"), (row.Status, row.Stderr));
        Assert.Equal((1000L, 2000L), (row.MemoryPeakBytes, row.CpuMicroseconds));
        Save(new InstanceEvent.AttemptExited(One.Next(), 1, null, false, "", null, 3000, At(3)));
        row = await RowAsync();
        Assert.Equal((null, 1000L, 3000L), (row.Stderr, row.MemoryPeakBytes, row.CpuMicroseconds));
    }

    [Fact]
    public async Task The_payload_of_a_custom_signal_is_there_until_a_later_one_is_consumed()
    {
        Save(Started());
        Save(new InstanceEvent.CustomSignalSent(1, "k\0ey", Guid.Empty, At(1)) { Payload = "one"u8.ToArray() },
            new InstanceEvent.CustomSignalSent(2, "key", Guid.Empty, At(1)),
            new InstanceEvent.CustomSignalDelivered("key", 2, At(2)));
        Assert.Equal("one", Encoding.UTF8.GetString((await SignalAsync(1))!.Value.Span));
        Assert.Equal(0, (await SignalAsync(2))!.Value.Length);
        // A reply that gives the number may be on its way, and asks for the payload after this commit.
        Save(new InstanceEvent.CustomSignalSent(3, "key", Guid.Empty, At(3)),
            new InstanceEvent.CustomSignalsConsumed([2, 3], At(3)));
        foreach (var number in (long[])[1, 2, 3])
            Assert.NotNull(await SignalAsync(number));
        Save(new InstanceEvent.CustomSignalSent(4, "key", Guid.Empty, At(4)),
            new InstanceEvent.CustomSignalsConsumed([1], At(4)));
        Assert.NotNull(await SignalAsync(1));
        Assert.Null(await SignalAsync(2));
        Assert.Null(await SignalAsync(3));
        Assert.NotNull(await SignalAsync(4));
    }

    [Fact]
    public async Task What_was_consumed_goes_with_the_end_of_the_instance()
    {
        Save(Started());
        Save(new InstanceEvent.CustomSignalSent(1, "key", Guid.Empty, At(1)),
            new InstanceEvent.CustomSignalSent(2, "key", Guid.Empty, At(1)),
            new InstanceEvent.CustomSignalSent(3, "key", Guid.Empty, At(1)));
        Save(new InstanceEvent.CustomSignalsConsumed([1], At(2)));
        Save(new InstanceEvent.CustomSignalsConsumed([2], At(3)), new InstanceEvent.Completed("sha", At(3)));
        Assert.Null(await SignalAsync(1));
        Assert.Null(await SignalAsync(2));
        Assert.NotNull(await SignalAsync(3));
    }

    private ValueTask<ReadOnlyMemory<byte>?> SignalAsync(long number) =>
        Store.Catalog.ReadCustomSignalAsync(_id, number, default);

    [Fact]
    public async Task A_crash_counts_and_a_loss_does_not()
    {
        Save(Started(), new InstanceEvent.AttemptLaunched(One, null, At(1)));
        Save(new InstanceEvent.AttemptCrashed(One, "boom", 2, 1, At(5), At(2)));
        Assert.Equal((InstanceStatus.Pending, One, 2), await StateAsync(r => r.RetryCount));
        Save(new InstanceEvent.AttemptLaunched(One.Next(), null, At(5)));
        Save(new InstanceEvent.AttemptLost(One.Next(), "node gone", At(6)));
        Assert.Equal((InstanceStatus.Pending, One.Next(), 2), await StateAsync(r => r.RetryCount));
    }

    [Fact]
    public async Task A_completion_keeps_the_output()
    {
        Save(Started(), new InstanceEvent.Completed("sha", At(9)) { Output = "out"u8.ToArray() });
        var row = await RowAsync();
        Assert.Equal((InstanceStatus.Completed, At(9), null), (row.Status, row.FinishedAt, row.Error));
        Assert.Equal("out", Encoding.UTF8.GetString(row.Output!.Value.Span));
        Assert.Equal("out", await PayloadAsync("completed"));
        Save(new InstanceEvent.AttemptExited(One, 0, null, false, "bye", 1, 2, At(10)));
        row = await RowAsync();
        Assert.Equal((InstanceStatus.Completed, "bye", 3), (row.Status, row.Stderr, row.Output!.Value.Length));
    }

    [Fact]
    public async Task A_failure_keeps_the_error()
    {
        Save(Started(), new InstanceEvent.Failed("broken", At(9)));
        var row = await RowAsync();
        Assert.Equal((InstanceStatus.Failed, At(9), "broken"), (row.Status, row.FinishedAt, row.Error));
        Assert.Null(row.Output);
        Assert.Equal("broken", await PayloadAsync("failed"));
    }

    [Fact]
    public async Task A_cancellation_ends_a_sleep_and_keeps_its_reason()
    {
        Save(Started(), new InstanceEvent.Hibernated(One, "nap", At(100), At(1)));
        Save(new InstanceEvent.Cancelled("enough", At(9)));
        Assert.Equal((InstanceStatus.Cancelled, Attempt.None, null), await StateAsync(r => r.WakeAt));
        Assert.Equal(At(9), (await RowAsync()).FinishedAt);
        Assert.Equal("cancelled", await EventAsync("custom", "subtype"));
        Assert.Equal("enough", await PayloadAsync("custom"));
    }

    [Fact]
    public async Task Custom_events_retries_and_stop_details_are_listed()
    {
        Save(Started());
        Save(new InstanceEvent.CustomReported("mine", "key", At(-5), At(1)) { Payload = "body"u8.ToArray() });
        Assert.Equal(("mine", "key", "body"), (
            await EventAsync("custom", "subtype"), await EventAsync("custom", "checkpoint_id"),
            await PayloadAsync("custom")));
        await _fixture.ExecuteAsync($"DELETE FROM event WHERE instance_id = '{_id}'");
        Save(new InstanceEvent.RetryRecorded("key", 2, "why", At(2)));
        Assert.Equal(
            """{"checkpoint_id":"key","attempt_number":2,"error_message":"why"}""", await PayloadAsync("custom"));
        await _fixture.ExecuteAsync($"DELETE FROM event WHERE instance_id = '{_id}'");
        Save(new InstanceEvent.StopRequested(One, StopReason.Timeout, null, TimeSpan.Zero, At(3)));
        Assert.Equal(0L, await CountEventsAsync("custom"));
        Save(new InstanceEvent.StopRequested(One, StopReason.Cancel, "please", TimeSpan.Zero, At(3)));
        Assert.Equal(
            ("stop_requested", "please"), (await EventAsync("custom", "subtype"), await PayloadAsync("custom")));
    }

    [Fact]
    public async Task Signals_are_in_the_journal_only()
    {
        Save(Started(), new InstanceEvent.SignalSent(SignalKind.Pause, At(1)), new InstanceEvent.SignalAcknowledged(
            SignalKind.Pause, At(2)));
        Assert.Equal(InstanceStatus.Pending, (await RowAsync()).Status);
    }

    [Fact]
    public async Task A_whole_life_in_one_commit_leaves_its_last_state()
    {
        Save(
            Started(), new InstanceEvent.AttemptLaunched(One, null, At(1)),
            new InstanceEvent.AttemptRegistered(One, null, At(2)),
            new InstanceEvent.CheckpointSaved("a", 1, At(3)) { State = "a"u8.ToArray() },
            new InstanceEvent.Hibernated(One, "nap", At(50), At(4)), new InstanceEvent.Woken(true, At(5)),
            new InstanceEvent.AttemptLaunched(One.Next(), "nap", At(6)), new InstanceEvent.Completed("sha", At(7)));
        var row = await RowAsync();
        Assert.Equal(
            (InstanceStatus.Completed, One.Next(), "nap", At(2), At(7), null),
            (row.Status, row.Attempt, row.CheckpointId, row.StartedAt, row.FinishedAt, row.WakeAt));
    }

    [Fact]
    public async Task An_event_that_is_not_stored_leaves_no_rows()
    {
        Save(Started());
        var probe = CreateTestProbe();
        var completed = new InstanceEvent.Completed("sha", At(1));
        var taken = new AtomicWrite(new Persistent(completed, 1, _id.Value, "", false, ActorRefs.NoSender, "zombie"));
        Journal.Tell(new WriteMessages([taken], probe.Ref, 1));
        probe.ExpectMsg<WriteMessagesFailed>();
        Assert.Equal(InstanceStatus.Pending, (await RowAsync()).Status);
        Assert.Equal(0L, await CountEventsAsync("completed"));
    }

    private IActorRef Journal => Akka.Persistence.Persistence.Instance.Apply(Sys).JournalFor(null);

    private static DateTimeOffset At(int seconds) => Zero.AddSeconds(seconds);

    private InstanceEvent.Started Started() => new(
        _id, new TenantId("tenant"), new ImageId("image"), "name", "sha", "sha", TimeSpan.FromSeconds(300),
        ImmutableSortedDictionary<string, string>.Empty, 3, Zero) { Input = "input"u8.ToArray() };

    private void Save(params InstanceEvent[] events)
    {
        var probe = CreateTestProbe();
        var rows = events.Select(e => (IPersistentRepresentation)new Persistent(
            e, ++_number, _id.Value, "", false, ActorRefs.NoSender, _writer)).ToImmutableList();
        Journal.Tell(new WriteMessages([new AtomicWrite(rows)], probe.Ref, 1));
        probe.ExpectMsg<WriteMessagesSuccessful>();
    }

    private async Task<InstanceRow> RowAsync() => (await Store.Catalog.FindInstanceAsync(_id, default))!;

    private async Task<(InstanceStatus, Attempt, T)> StateAsync<T>(Func<InstanceRow, T> more)
    {
        var row = await RowAsync();
        return (row.Status, row.Attempt, more(row));
    }

    private async Task<IEnumerable<(InstanceId, DateTimeOffset)>> DueAsync(DateTimeOffset before) =>
        (await Store.ReadDueAsync(InstanceShard.Of(_id), before, 1000, default)).Select(d => (d.Instance, d.WakeAt));

    private Task<object?> EventAsync(string type, string column) => _fixture.ExecuteAsync(
        $"SELECT {column} FROM event WHERE instance_id = '{_id}' AND type = '{type}' ORDER BY seq");

    private Task<object?> CountEventsAsync(string type) => _fixture.ExecuteAsync(
        $"SELECT count(*) FROM event WHERE instance_id = '{_id}' AND type = '{type}'");

    private async Task<string> PayloadAsync(string type) =>
        Encoding.UTF8.GetString((byte[])(await EventAsync(type, "payload"))!);
}

public sealed class SqliteProjectionTests(SqliteFixture fixture)
    : ProjectionContract(fixture), IClassFixture<SqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class PostgresProjectionTests(PostgresFixture fixture)
    : ProjectionContract(fixture), IClassFixture<PostgresFixture>;
