namespace Runtara.Persistence.Tests;

/// <summary>The wait for another owner of the database begins when that one is seen.</summary>
public abstract class OwnerTimeoutContract(StoreFixture fixture)
{
    [Fact]
    public async Task However_long_the_way_to_the_database_takes_its_owner_is_waited_for()
    {
        var log = new RecordingLogger();
        var alone = fixture.Options with { Alone = true, Logger = log };
        await using var owner = await Store.OpenAsync(alone, default);
        var slow = alone with { Time = new SlowWay(), OwnerTimeout = TimeSpan.FromSeconds(1) };
        await Assert.ThrowsAsync<DatabaseOwnedException>(async () => await Store.OpenAsync(slow, default));
        Assert.Single(log.LinesOf("Waiting for up to 1 s"));
    }

    /// <summary>A clock that goes on by a minute between two looks at it.</summary>
    private sealed class SlowWay : TimeProvider
    {
        private long _looks;

        public override long GetTimestamp() => Interlocked.Increment(ref _looks) * 60 * TimestampFrequency;
    }
}

public sealed class SqliteOwnerTimeoutTests(SqliteFixture fixture)
    : OwnerTimeoutContract(fixture), IClassFixture<SqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class PostgresOwnerTimeoutTests(PostgresFixture fixture)
    : OwnerTimeoutContract(fixture), IClassFixture<PostgresFixture>;
