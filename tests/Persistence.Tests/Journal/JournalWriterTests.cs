using LinqToDB.Data;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Queries;
using Runtara.Persistence.Snapshots;
using Runtara.Persistence.Sqlite;

namespace Runtara.Persistence.Tests.Journal;

/// <summary>The writer against a database that misbehaves on demand.</summary>
public sealed class JournalWriterTests(SqliteFixture fixture) : IClassFixture<SqliteFixture>, IAsyncLifetime
{
    private readonly string _id = Guid.NewGuid().ToString();
    private FaultyDatabase _database = null!;
    private JournalWriter _writer = null!;

    private StoreOptions Options => fixture.Options;

    public Task InitializeAsync()
    {
        _database = new FaultyDatabase((SqliteDatabase)fixture.Store.Database, Options);
        _writer = new JournalWriter(_database, Options);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync() => await _writer.DisposeAsync();

    [Fact]
    public async Task A_commit_whose_answer_was_lost_is_found_and_not_repeated()
    {
        _database.FailAfterCommit = 1;
        Assert.Null(await WriteAsync(1));
        Assert.Equal(1, _database.Commits);
        Assert.Equal(1L, await CountAsync());
    }

    [Fact]
    public async Task A_commit_that_did_not_happen_is_repeated()
    {
        _database.FailBeforeCommit = 3;
        Assert.Null(await WriteAsync(1));
        Assert.Equal(1L, await CountAsync());
    }

    [Fact]
    public async Task A_commit_that_completes_after_the_search_for_it_is_still_ours()
    {
        _database.FailAfterCommit = 1;
        _database.HideStored = 1;
        Assert.Null(await WriteAsync(1));
        Assert.Equal(1L, await CountAsync());
    }

    [Fact]
    public async Task An_outage_beyond_the_limit_fails_the_writes_and_the_next_ones_are_served()
    {
        await using var writer = new JournalWriter(
            _database, Options with { ReconnectTimeout = TimeSpan.FromMilliseconds(100) });
        _database.FailBeforeCommit = int.MaxValue;
        Assert.IsType<TestOutageException>(await WriteAsync(1, writer));
        _database.FailBeforeCommit = 0;
        Assert.Null(await WriteAsync(1, writer));
    }

    [Fact]
    public async Task A_full_queue_makes_room_again()
    {
        var options = Options with { QueueBytesMax = 1 };
        await using var writer = new JournalWriter(_database, options);
        _database.Hold.Reset();
        var write = WriteAsync(1, writer);
        var room = writer.WaitForRoomAsync();
        Assert.False(room.IsCompleted);
        _database.Hold.Set();
        await room;
        Assert.Null(await write);
        Assert.True(writer.WaitForRoomAsync().IsCompleted);
    }

    [Fact]
    public async Task What_waits_is_written_before_the_writer_is_disposed()
    {
        var writes = Enumerable.Range(1, 500).Select(n => WriteAsync(n)).ToList();
        await _writer.DisposeAsync();
        Assert.All(await Task.WhenAll(writes), Assert.Null);
        Assert.Equal(500L, await CountAsync());
        Assert.IsType<ObjectDisposedException>(await WriteAsync(501));
    }

    [Fact]
    public async Task What_waits_goes_in_one_commit_within_the_caps()
    {
        await using var writer = new JournalWriter(_database, Options with { CommitRowsMax = 100 });
        _database.Hold.Reset();
        var writes = Enumerable.Range(1, 401).Select(n => WriteAsync(n, writer)).ToList();
        _database.Hold.Set();
        Assert.All(await Task.WhenAll(writes), Assert.Null);
        Assert.InRange(_database.Commits, 5, 7);
    }

    public static TheoryData<InstanceEvent> LargeEvents =>
    [
        new InstanceEvent.CustomSignalSent(1, "key", Guid.Empty, default) { Payload = new byte[3 << 20] },
        // In the row of the instance and in the list of its events.
        new InstanceEvent.Completed("sha", default) { Output = new byte[3 << 19] },
        new InstanceEvent.Failed(new string('x', 3 << 19), default),
    ];

    [Theory, MemberData(nameof(LargeEvents))]
    public async Task What_goes_into_other_tables_counts_too_as_often_as_it_is_written(InstanceEvent large)
    {
        await using var writer = new JournalWriter(_database, Options with { CommitBytesMax = 4 << 20 });
        _database.Hold.Reset();
        var writes = Enumerable.Range(1, 3).Select(n => WriteAsync(
            n, writer, large is InstanceEvent.CustomSignalSent s ? s with { Number = n } : large)).ToList();
        _database.Hold.Set();
        Assert.All(await Task.WhenAll(writes), Assert.Null);
        Assert.Equal(3, _database.Commits);
    }

    private Task<Exception?> WriteAsync(long number, JournalWriter? writer = null, InstanceEvent? @event = null)
    {
        var request = new TestRequest(_id, number, @event);
        (writer ?? _writer).Enqueue(request);
        return request.Result;
    }

    private Task<object?> CountAsync() =>
        fixture.ExecuteAsync($"SELECT count(*) FROM journal WHERE persistence_id = '{_id}'");

    private sealed class TestRequest : WriteRequest
    {
        private readonly TaskCompletionSource<Exception?> _result =
            new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TestRequest(string id, long number, InstanceEvent? @event) =>
            Fill([new AtomicUnit(this, id, [new JournalRow(id, number, 0, 1, "", "writer", [1], @event)], null)]);

        public Task<Exception?> Result => _result.Task;

        public override void Complete() => _result.SetResult(Units[0].Failure);
    }

    private sealed class TestOutageException : Exception;

    private sealed class FaultyDatabase(SqliteDatabase inner, StoreOptions options) : Database(options)
    {
        private int _commits;

        public ManualResetEventSlim Hold { get; } = new(initialState: true);

        public int FailBeforeCommit { get; set; }

        public int FailAfterCommit { get; set; }

        public int HideStored { get; set; }

        public int Commits => _commits;

        public override int SmallLanes => 1;

        public override bool Blocks => true;

        public override bool IsOutage(Exception cause) => cause is TestOutageException;

        public override IJournalLane OpenLane() => new FaultyLane(this, inner.OpenLane());

        public override ValueTask<IOwnership> OwnAsync(CancellationToken cancellation) =>
            throw new NotSupportedException();

        public override Task MigrateAsync(CancellationToken cancellation) => throw new NotSupportedException();

        public override Task CleanUpAsync(CancellationToken cancellation) => throw new NotSupportedException();

        public override IReplaySource OpenReplaySource() => throw new NotSupportedException();

        public override ValueTask DeleteToAsync(
            string persistenceId, long toSequenceNr, CancellationToken cancellation) =>
                throw new NotSupportedException();

        public override ValueTask SaveSnapshotAsync(SnapshotRow row, CancellationToken cancellation) =>
            throw new NotSupportedException();

        public override ValueTask DeleteSnapshotAsync(SnapshotDeletion deletion, CancellationToken cancellation) =>
            throw new NotSupportedException();

        public override ValueTask<int> RemoveAsync(Removal removal, CancellationToken cancellation) =>
            throw new NotSupportedException();

        public override ValueTask ReadCheckpointsAsync(
            IReadOnlyList<CheckpointRead> reads, CancellationToken cancellation) => throw new NotSupportedException();

        public override DataConnection OpenCatalog() => throw new NotSupportedException();

        public override IImageStore CreateImageStore(Database calls) => throw new NotSupportedException();

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private sealed class FaultyLane(FaultyDatabase owner, IJournalLane lane) : IJournalLane
        {
            public async ValueTask CommitAsync(IReadOnlyList<AtomicUnit> units, CancellationToken cancellation)
            {
                owner.Hold.Wait(cancellation);
                if (owner.FailBeforeCommit > 0)
                {
                    owner.FailBeforeCommit--;
                    throw new TestOutageException();
                }
                await lane.CommitAsync(units, cancellation);
                Interlocked.Increment(ref owner._commits);
                if (owner.FailAfterCommit > 0)
                {
                    owner.FailAfterCommit--;
                    throw new TestOutageException();
                }
            }

            public ValueTask<IReadOnlySet<AtomicUnit>> FindStoredAsync(
                IReadOnlyList<AtomicUnit> units, CancellationToken cancellation)
            {
                if (owner.HideStored == 0)
                    return lane.FindStoredAsync(units, cancellation);
                owner.HideStored--;
                return ValueTask.FromResult<IReadOnlySet<AtomicUnit>>(new HashSet<AtomicUnit>());
            }

            public ValueTask ResetAsync() => lane.ResetAsync();

            public ValueTask DisposeAsync() => lane.DisposeAsync();
        }
    }
}
