using System.Globalization;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;

namespace Runtara.Persistence.Tests.Queries;

/// <summary>Filters, order and counts of the instance list, on both databases.</summary>
public abstract class CatalogContract : IAsyncLifetime
{
    private static readonly DateTimeOffset Zero = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly StoreFixture _fixture;

    protected CatalogContract(StoreFixture fixture) => _fixture = fixture;

    public async Task InitializeAsync()
    {
        await _fixture.ExecuteAsync("DELETE FROM instance");
        await AddAsync("a", "t1", InstanceStatus.Running, "i1", "tool/one", 1, null);
        await AddAsync("b", "t1", InstanceStatus.Completed, "i1", "tool/one", 2, 20);
        await AddAsync("c", "t1", InstanceStatus.Failed, "i2", "tool/two", 3, 10);
        await AddAsync("d", "t2", InstanceStatus.Completed, "i3", "Tool", 3, 20);
        await AddAsync("e", "t2", InstanceStatus.Pending, null, null, 3, null);
        await AddAsync("f", "", InstanceStatus.Suspended, "i4", "to_l%", 0, null);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    [Theory]
    [InlineData(InstanceOrder.CreatedAtDescending, "cdebaf")]
    [InlineData(InstanceOrder.CreatedAtAscending, "fabcde")]
    [InlineData(InstanceOrder.FinishedAtDescending, "bdcaef")]
    [InlineData(InstanceOrder.FinishedAtAscending, "cbdaef")]
    public async Task Every_order_ends_with_the_id_and_puts_the_unfinished_last(InstanceOrder order, string expected) =>
        await ExpectAsync(new InstanceFilter { Order = order }, expected, 6);

    [Fact]
    public async Task A_page_is_cut_from_all_that_match_and_the_count_is_true()
    {
        await ExpectAsync(new InstanceFilter { Limit = 2, Offset = 1 }, "de", 6);
        await ExpectAsync(new InstanceFilter { Limit = 2, Offset = 9 }, "", 6);
        await ExpectAsync(new InstanceFilter { Limit = 0 }, "", 6);
    }

    [Theory]
    [InlineData(InstanceOrder.CreatedAtDescending, "cdebaf")]
    [InlineData(InstanceOrder.CreatedAtAscending, "fabcde")]
    [InlineData(InstanceOrder.FinishedAtDescending, "bdcaef")]
    [InlineData(InstanceOrder.FinishedAtAscending, "cbdaef")]
    public async Task Every_page_of_every_order_is_the_same_from_either_end(InstanceOrder order, string expected)
    {
        for (var limit = 0; limit < 8; limit++)
        {
            for (var offset = 0; offset < 8; offset++)
            {
                await ExpectAsync(
                    new InstanceFilter { Order = order, Offset = offset, Limit = limit },
                    string.Concat(expected.Skip(offset).Take(limit)), 6);
            }
        }
    }

    [Fact]
    public async Task Each_filter_filters()
    {
        await ExpectAsync(new InstanceFilter { Tenant = new TenantId("t1") }, "cba");
        await ExpectAsync(new InstanceFilter { Tenant = new TenantId("") }, "f");
        await ExpectAsync(new InstanceFilter { Status = InstanceStatus.Completed }, "db");
        await ExpectAsync(new InstanceFilter { Image = new ImageId("i1") }, "ba");
        await ExpectAsync(new InstanceFilter { CreatedAfter = At(2) }, "cdeb");
        await ExpectAsync(new InstanceFilter { CreatedBefore = At(2) }, "af");
        await ExpectAsync(new InstanceFilter { FinishedAfter = At(20) }, "db");
        await ExpectAsync(new InstanceFilter { FinishedBefore = At(20) }, "c");
    }

    [Theory]
    [InlineData("tool/", "cba")]
    [InlineData("tool/o", "ba")]
    [InlineData("to", "cbaf")]
    [InlineData("T", "d")]
    [InlineData("to_l", "f")]
    [InlineData("to_l%", "f")]
    [InlineData("%", "")]
    [InlineData("to\0", "")]
    [InlineData("", "cdebaf")]
    public async Task An_image_name_prefix_is_literal_and_case_sensitive(string prefix, string expected) =>
        await ExpectAsync(new InstanceFilter { ImageNamePrefix = prefix }, expected);

    [Fact]
    public async Task Filters_combine() => await ExpectAsync(
        new InstanceFilter
        {
            Tenant = new TenantId("t1"), Status = InstanceStatus.Completed, ImageNamePrefix = "tool",
            CreatedAfter = At(1), FinishedBefore = At(21), Order = InstanceOrder.FinishedAtAscending,
        },
        "b");

    [Fact]
    public async Task A_summary_says_what_the_row_says()
    {
        var (rows, _) = await _fixture.Store.Catalog.ListInstancesAsync(
            new InstanceFilter { Status = InstanceStatus.Failed }, default);
        Assert.Equal(
            new InstanceSummaryRow(
                new InstanceId("c"), new TenantId("t1"), InstanceStatus.Failed, new ImageId("i2"), "tool/two", At(3),
                null, At(10), true),
            Assert.Single(rows));
    }

    [Fact]
    public async Task A_missing_instance_is_null() =>
        Assert.Null(await _fixture.Store.Catalog.FindInstanceAsync(new InstanceId("no\0body"), default));

    [Fact]
    public async Task It_answers_a_ping() => Assert.True(await _fixture.Store.Catalog.PingAsync(default));

    [Fact]
    public async Task Opening_again_migrates_nothing_and_keeps_everything()
    {
        const string migrations = "SELECT count(*) * 1000 + max(version) FROM schema_version";
        var before = await _fixture.ExecuteAsync(migrations);
        await using var again = await Store.OpenAsync(_fixture.Options, default);
        Assert.NotNull(await again.Catalog.FindInstanceAsync(new InstanceId("a"), default));
        Assert.Equal(before, await _fixture.ExecuteAsync(migrations));
    }

    [Fact]
    public async Task The_tables_of_a_newer_program_are_refused()
    {
        await _fixture.ExecuteAsync("INSERT INTO schema_version VALUES (99, 0)");
        try
        {
            var refused = await Assert.ThrowsAsync<InvalidOperationException>(
                async () => await Store.OpenAsync(_fixture.Options, default));
            Assert.Contains("99", refused.Message);
        }
        finally
        {
            await _fixture.ExecuteAsync("DELETE FROM schema_version WHERE version = 99");
        }
    }

    private static DateTimeOffset At(int seconds) => Zero.AddSeconds(seconds);

    private async Task ExpectAsync(InstanceFilter filter, string ids, int? count = null)
    {
        var (rows, total) = await _fixture.Store.Catalog.ListInstancesAsync(filter, default);
        Assert.Equal((ids, count ?? ids.Length), (string.Concat(rows.Select(r => r.Id.Value)), total));
    }

    private Task AddAsync(
        string id, string tenant, InstanceStatus status, string? image, string? name, int created, int? finished)
    {
        static string Text(string? value) => value is null ? "NULL" : $"'{value}'";
        static string Time(int? at) => at is { } s
            ? ((At(s) - DateTimeOffset.UnixEpoch).Ticks / 10).ToString(CultureInfo.InvariantCulture) : "NULL";
        return _fixture.ExecuteAsync(
            "INSERT INTO instance (instance_id, tenant_id, status, shard, max_retries, image_id, image_name, "
            + "created_at, finished_at, error) VALUES "
            + $"('{id}', '{tenant}', {(int)status}, 0, 3, {Text(image)}, {Text(name)}, "
            + $"{Time(created)}, {Time(finished)}, {(status == InstanceStatus.Failed ? "'bad'" : "NULL")})");
    }
}

public sealed class SqliteCatalogTests(SqliteFixture fixture) : CatalogContract(fixture), IClassFixture<SqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class PostgresCatalogTests(PostgresFixture fixture)
    : CatalogContract(fixture), IClassFixture<PostgresFixture>;
