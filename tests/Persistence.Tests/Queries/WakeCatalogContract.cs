using Runtara.Actors.Instances;

namespace Runtara.Persistence.Tests.Queries;

/// <summary>What the wakers read: who must live, and who is due.</summary>
public abstract class WakeCatalogContract(StoreFixture fixture)
{
    private const int Shard = 7;
    private const int Many = 2500;

    [Fact]
    public async Task However_many_live_all_are_called_to_mind()
    {
        await AddAsync("live", InstanceStatus.Running, "NULL");
        await AddAsync("waiting", InstanceStatus.Pending, "NULL");
        await AddAsync("paused", InstanceStatus.Suspended, "NULL");
        await AddAsync("over", InstanceStatus.Completed, "NULL");
        var live = await fixture.Store.ReadLiveAsync(Shard, default);
        Assert.Equal(Many, live.Count(id => id.Value.StartsWith("live-", StringComparison.Ordinal)));
        Assert.Equal(2 * Many, live.Count);
        Assert.Empty(await fixture.Store.ReadLiveAsync(Shard + 1, default));
    }

    [Fact]
    public async Task Who_is_due_comes_oldest_first_and_only_while_suspended()
    {
        await AddAsync("due", InstanceStatus.Suspended, "i * CAST(1000000 AS BIGINT)");
        await AddAsync("woken", InstanceStatus.Pending, "1");
        var before = DateTimeOffset.UnixEpoch.AddSeconds(Many);
        var due = await fixture.Store.ReadDueAsync(Shard, before, 2 * Many, default);
        Assert.Equal(Enumerable.Range(1, Many - 1).Select(i => $"due-{i}"), due.Select(d => d.Instance.Value));
        Assert.Equal(
            ["due-1", "due-2"],
            (await fixture.Store.ReadDueAsync(Shard, before, 2, default)).Select(d => d.Instance.Value));
    }

    private Task AddAsync(string name, InstanceStatus status, string wakeAt) => fixture.ExecuteAsync(
        $"""
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {Many})
        INSERT INTO instance (instance_id, tenant_id, status, shard, max_retries, created_at, wake_at)
        SELECT '{name}-' || i, 't', {(int)status}, {Shard}, 3, 0, {wakeAt} FROM n
        """);
}

public sealed class SqliteWakeCatalogTests(SqliteFixture fixture)
    : WakeCatalogContract(fixture), IClassFixture<SqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class PostgresWakeCatalogTests(PostgresFixture fixture)
    : WakeCatalogContract(fixture), IClassFixture<PostgresFixture>;
