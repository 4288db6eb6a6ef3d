using System.Globalization;
using Runtara.Actors.Instances;

namespace Runtara.Persistence.Tests.Queries;

/// <summary>What a tenant's instances did, on both databases.</summary>
public abstract class MetricsContract : IAsyncLifetime
{
    private static readonly DateTimeOffset Midnight = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TenantId Tenant = new("t");
    private readonly StoreFixture _fixture;
    private int _ids;

    protected MetricsContract(StoreFixture fixture) => _fixture = fixture;

    public Task InitializeAsync() => _fixture.ExecuteAsync("DELETE FROM instance");

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task Buckets_are_hours_of_utc_from_that_of_the_start_to_that_of_the_end_also_empty_ones()
    {
        await AddAsync(InstanceStatus.Completed, started: 0, finished: 90, memory: 10);
        await AddAsync(InstanceStatus.Completed, started: 60, finished: 91, memory: 13);
        await AddAsync(InstanceStatus.Failed, started: 61, finished: 119, memory: null);
        await AddAsync(InstanceStatus.Cancelled, started: null, finished: 100, memory: null);
        var buckets = await ReadAsync(Midnight.AddMinutes(30), Midnight.AddMinutes(200));
        Assert.Equal([0, 60, 120, 180], buckets.Select(b => (b.At - Midnight).TotalMinutes));
        Assert.Equal(new MetricsBucketRow { At = Midnight }, buckets[0]);
        Assert.Equal(
            new MetricsBucketRow
            {
                At = Midnight.AddHours(1), Completed = 2, Failed = 1, Cancelled = 1,
                DurationMean = TimeSpan.FromSeconds(179 * 20), DurationMin = TimeSpan.FromMinutes(31),
                DurationMax = TimeSpan.FromMinutes(90), MemoryMeanBytes = 11, MemoryMaxBytes = 13,
            },
            buckets[1]);
        Assert.Equal(new MetricsBucketRow { At = Midnight.AddHours(2) }, buckets[2]);
    }

    [Fact]
    public async Task Only_what_ended_at_the_start_or_later_and_before_the_end_counts()
    {
        await AddAsync(InstanceStatus.Completed, 0, finished: 29);
        await AddAsync(InstanceStatus.Completed, 0, finished: 30);
        await AddAsync(InstanceStatus.Completed, 0, finished: 59);
        await AddAsync(InstanceStatus.Completed, 0, finished: 60);
        var buckets = await ReadAsync(Midnight.AddMinutes(30), Midnight.AddMinutes(60));
        Assert.Equal([2, 0], buckets.Select(b => b.Completed));
    }

    [Fact]
    public async Task Other_tenants_and_the_living_do_not_count()
    {
        await AddAsync(InstanceStatus.Running, 0, finished: null);
        await AddAsync(InstanceStatus.Suspended, 0, finished: null);
        await AddAsync(InstanceStatus.Completed, 0, finished: 1, tenant: "other");
        var bucket = Assert.Single(await ReadAsync(Midnight, Midnight.AddMinutes(59)));
        Assert.Equal(new MetricsBucketRow { At = Midnight }, bucket);
    }

    [Fact]
    public async Task Daily_buckets_begin_at_midnight_utc()
    {
        await AddAsync(InstanceStatus.Completed, 0, finished: 24 * 60 - 1);
        await AddAsync(InstanceStatus.Failed, 0, finished: 24 * 60);
        var buckets = await ReadAsync(Midnight.AddHours(13), Midnight.AddHours(37), isDaily: true);
        Assert.Equal([Midnight, Midnight.AddDays(1)], buckets.Select(b => b.At));
        Assert.Equal([(1, 0), (0, 1)], buckets.Select(b => (b.Completed, b.Failed)));
    }

    [Fact]
    public async Task A_range_that_ends_before_it_begins_has_no_buckets()
    {
        Assert.Empty(await ReadAsync(Midnight.AddHours(2), Midnight));
        Assert.Single(await ReadAsync(Midnight, Midnight));
    }

    [Fact]
    public void The_number_of_buckets_is_known_without_the_database()
    {
        Assert.Equal(25, new MetricsQuery(Tenant, Midnight, Midnight.AddDays(1), false).BucketCount);
        Assert.Equal(2, new MetricsQuery(Tenant, Midnight, Midnight.AddDays(1), true).BucketCount);
        Assert.Equal(3_652_059, new MetricsQuery(
            Tenant, DateTimeOffset.MinValue, DateTimeOffset.MaxValue, true).BucketCount);
        var before = new MetricsQuery(Tenant, DateTimeOffset.UnixEpoch.AddMinutes(-1), DateTimeOffset.UnixEpoch, false);
        Assert.Equal(2, before.BucketCount);
    }

    [Fact]
    public async Task Running_and_suspended_instances_are_active()
    {
        foreach (var status in Enum.GetValues<InstanceStatus>())
            await AddAsync(status, 0, null);
        Assert.Equal(2, await _fixture.Store.Catalog.CountActiveAsync(default));
    }

    private ValueTask<IReadOnlyList<MetricsBucketRow>> ReadAsync(
        DateTimeOffset start, DateTimeOffset end, bool isDaily = false) =>
        _fixture.Store.Catalog.ReadMetricsAsync(new MetricsQuery(Tenant, start, end, isDaily), default);

    private Task AddAsync(
        InstanceStatus status, int? started, int? finished, long? memory = null, string tenant = "t")
    {
        static string Number(long? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "NULL";
        static string Time(int? minutes) => Number(
            minutes is { } m ? (Midnight.AddMinutes(m) - DateTimeOffset.UnixEpoch).Ticks / 10 : null);
        return _fixture.ExecuteAsync(
            "INSERT INTO instance (instance_id, tenant_id, status, shard, max_retries, created_at, started_at, "
            + $"finished_at, memory_peak_bytes) VALUES ('m{++_ids}', '{tenant}', {(int)status}, 0, 3, {Time(0)}, "
            + $"{Time(started)}, {Time(finished)}, {Number(memory)})");
    }
}

public sealed class SqliteMetricsTests(SqliteFixture fixture) : MetricsContract(fixture), IClassFixture<SqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class PostgresMetricsTests(PostgresFixture fixture)
    : MetricsContract(fixture), IClassFixture<PostgresFixture>;
