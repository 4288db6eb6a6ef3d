using System.Globalization;
using System.Text;
using Runtara.Actors.Instances;

namespace Runtara.Persistence.Tests.Queries;

/// <summary>Lists of checkpoints and events, on both databases.</summary>
public abstract class HistoryContract : IAsyncLifetime
{
    private static readonly DateTimeOffset Zero = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly InstanceId One = new("one");
    private readonly StoreFixture _fixture;
    private int _seq;

    protected HistoryContract(StoreFixture fixture) => _fixture = fixture;

    private Catalog Catalog => _fixture.Store.Catalog;

    public async Task InitializeAsync()
    {
        await _fixture.ExecuteAsync("DELETE FROM checkpoint");
        await _fixture.ExecuteAsync("DELETE FROM event");
    }

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task Checkpoints_come_newest_first_and_ties_by_what_was_saved_last()
    {
        await SaveAsync("a", 1, "x");
        await SaveAsync("b", 2, "xy");
        await SaveAsync("c", 2, "");
        await SaveAsync("other", 3, "", "two");
        var (rows, total) = await Catalog.ListCheckpointsAsync(new(One), default);
        Assert.Equal(
            [new("c", At(2), 0), new CheckpointSummaryRow("b", At(2), 2), new("a", At(1), 1)], rows);
        Assert.Equal(3, total);
    }

    [Fact]
    public async Task Checkpoints_filter_page_and_count()
    {
        for (var i = 0; i < 5; i++)
            await SaveAsync($"k{i}", i, "x");
        await ExpectCheckpointsAsync(new(One) { Limit = 2, Offset = 1 }, "k3 k2", 5);
        await ExpectCheckpointsAsync(new(One) { Limit = 0 }, "", 5);
        await ExpectCheckpointsAsync(new(One) { Offset = int.MaxValue }, "", 5);
        await ExpectCheckpointsAsync(new(One) { Key = "k1" }, "k1", 1);
        await ExpectCheckpointsAsync(new(One) { Key = "k" }, "", 0);
        await ExpectCheckpointsAsync(new(One) { CreatedAfter = At(3) }, "k4 k3", 2);
        await ExpectCheckpointsAsync(new(One) { CreatedBefore = At(1) }, "k0", 1);
        await ExpectCheckpointsAsync(new(new InstanceId("no\0body")), "", 0);
    }

    [Fact]
    public async Task A_checkpoint_is_found_with_its_bytes_and_its_time()
    {
        await SaveAsync("a", 7, "state");
        await SaveAsync("empty", 8, "");
        var found = await Catalog.FindCheckpointAsync(One, "a", default);
        Assert.Equal((At(7), "state"), (found!.CreatedAt, Encoding.UTF8.GetString(found.State.Span)));
        Assert.Equal(0, (await Catalog.FindCheckpointAsync(One, "empty", default))!.State.Length);
        Assert.Null(await Catalog.FindCheckpointAsync(One, "b", default));
        Assert.Null(await Catalog.FindCheckpointAsync(new InstanceId("two"), "a", default));
    }

    [Fact]
    public async Task Events_come_newest_first_and_ties_by_what_was_stored_last()
    {
        await ReportAsync("started", null, 5, null);
        await ReportAsync("custom", "s", 9, [1]);
        await ReportAsync("custom", "s", 5, []);
        await ReportAsync("custom", "other", 5, [1], "two");
        var page = await Catalog.ListEventsAsync(new(One), default);
        Assert.Equal(
            [("custom", "s", At(9)), ("custom", "s", At(5)), ("started", null, At(5))],
            page.Rows.Select(e => (e.Type, e.Subtype, e.CreatedAt)));
        Assert.Equal((3, false), (page.TotalCount, page.IsCut));
        Assert.Equal([1, null, null], page.Rows.Select(e => e.Payload?.Length));
        Assert.True(page.Rows[1].Id > page.Rows[2].Id);
    }

    [Fact]
    public async Task Events_filter_page_and_count()
    {
        await ReportAsync("started", null, 0, null);
        await ReportAsync("custom", "a", 1, "1"u8.ToArray());
        await ReportAsync("custom", "b", 2, "2"u8.ToArray());
        await ReportAsync("completed", null, 3, "3"u8.ToArray());
        await ExpectEventsAsync(new(One) { Type = "custom" }, "2 1", 2);
        await ExpectEventsAsync(new(One) { Type = "CUSTOM" }, "", 0);
        await ExpectEventsAsync(new(One) { Subtype = "a" }, "1", 1);
        await ExpectEventsAsync(new(One) { Subtype = "" }, "", 0);
        await ExpectEventsAsync(new(One) { CreatedAfter = At(2) }, "3 2", 2);
        await ExpectEventsAsync(new(One) { CreatedBefore = At(2), CreatedAfter = At(1) }, "1", 1);
        await ExpectEventsAsync(new(One) { Limit = 1, Offset = 1 }, "2", 4);
        await ExpectEventsAsync(new(One) { Limit = 0 }, "", 4);
        await ExpectEventsAsync(new(One) { PayloadContains = "", Limit = 1, Offset = 1 }, "2", 3);
        await ExpectEventsAsync(new(One) { PayloadContains = "2", Type = "completed" }, "", 0);
        await ExpectEventsAsync(new(new InstanceId("nobody")) { PayloadContains = "" }, "", 0);
    }

    [Theory]
    [InlineData("Order 100%", "oRDER 100%", true)]
    [InlineData("Order 100%", "order%", false)]
    [InlineData("order", "o_der", false)]
    [InlineData("o_der", "O_DER", true)]
    [InlineData("""c:\temp""", """:\T""", true)]
    [InlineData("""c:\temp""", """\\""", false)]
    [InlineData("Größe", "GRÖSSE", false)]
    [InlineData("Größe ΣΊΣΥΦΟΣ ДОМ", "größe σίσυφοσ дом", true)]
    [InlineData("a\0b", "A\0B", true)]
    [InlineData("it's", "'", true)]
    [InlineData("377", "377", true)]
    [InlineData("𐐀", "𐐨", true)]
    [InlineData("abc", "abcd", false)]
    public async Task A_payload_is_searched_as_text_without_case_and_without_wildcards(
        string payload, string text, bool found)
    {
        await ReportAsync("custom", null, 0, Encoding.UTF8.GetBytes(payload));
        var page = await Catalog.ListEventsAsync(new(One) { PayloadContains = text }, default);
        Assert.Equal((found ? 1 : 0, found ? 1 : 0), (page.Rows.Count, page.TotalCount));
    }

    [Fact]
    public async Task A_search_survives_payloads_that_are_no_text()
    {
        await ReportAsync("custom", null, 0, [0xff, 0, 0xc3]);
        await ReportAsync("custom", null, 1, [0xff, .. "Needle"u8, 0xfe, 0]);
        await ReportAsync("custom", null, 2, null);
        var page = await Catalog.ListEventsAsync(new(One) { PayloadContains = "needle" }, default);
        Assert.Equal([At(1)], page.Rows.Select(e => e.CreatedAt));
        page = await Catalog.ListEventsAsync(new(One) { PayloadContains = "\ufffd" }, default);
        Assert.Equal([At(1), At(0)], page.Rows.Select(e => e.CreatedAt));
        page = await Catalog.ListEventsAsync(new(One) { PayloadContains = "377" }, default);
        Assert.Empty(page.Rows);
    }

    [Fact]
    public async Task A_text_is_found_wherever_it_lies_in_a_large_payload()
    {
        // Two bytes for each character: text and characters lie across the pieces that are decoded.
        for (var at = 32_750; at < 32_770; at += 3)
        {
            await _fixture.ExecuteAsync("DELETE FROM event");
            var payload = Encoding.UTF8.GetBytes(
                "x" + new string('ä', at / 2) + "NÄDEL" + new string('ö', 40_000));
            await ReportAsync("custom", null, 0, payload);
            Assert.Single((await Catalog.ListEventsAsync(new(One) { PayloadContains = "nädelÖ" }, default)).Rows);
            Assert.Empty((await Catalog.ListEventsAsync(new(One) { PayloadContains = "nädelä" }, default)).Rows);
        }
    }

    [Fact]
    public async Task A_page_ends_before_its_payloads_are_too_large_but_has_a_row()
    {
        for (var i = 0; i < 4; i++)
            await ReportAsync("custom", null, i, new byte[100]);
        var page = await Catalog.ListEventsAsync(new(One) { PayloadBytesMax = 250 }, default);
        Assert.Equal((2, 4, true), (page.Rows.Count, page.TotalCount, page.IsCut));
        page = await Catalog.ListEventsAsync(new(One) { PayloadBytesMax = 250, Offset = 2 }, default);
        Assert.Equal((2, 4, false), (page.Rows.Count, page.TotalCount, page.IsCut));
        page = await Catalog.ListEventsAsync(new(One) { PayloadBytesMax = 1, PayloadContains = "\0" }, default);
        Assert.Equal((1, 4, true), (page.Rows.Count, page.TotalCount, page.IsCut));
    }

    private static DateTimeOffset At(int seconds) => Zero.AddSeconds(seconds);

    private static string Micros(int seconds) =>
        ((At(seconds) - DateTimeOffset.UnixEpoch).Ticks / 10).ToString(CultureInfo.InvariantCulture);

    private async Task ExpectCheckpointsAsync(CheckpointFilter filter, string keys, int count)
    {
        var (rows, total) = await Catalog.ListCheckpointsAsync(filter, default);
        Assert.Equal((keys, count), (string.Join(' ', rows.Select(r => r.Key)), total));
    }

    private async Task ExpectEventsAsync(EventFilter filter, string payloads, int count)
    {
        var page = await Catalog.ListEventsAsync(filter, default);
        Assert.Equal(
            (payloads, count),
            (string.Join(' ', page.Rows.Select(e => Encoding.UTF8.GetString((e.Payload ?? default).Span))).Trim(),
                page.TotalCount));
    }

    private Task SaveAsync(string key, int at, string state, string instance = "one") => _fixture.ExecuteAsync(
        "INSERT INTO checkpoint (instance_id, checkpoint_id, seq, at, size, state) VALUES "
        + $"('{instance}', '{key}', {++_seq}, {Micros(at)}, {state.Length}, {Bytes(Encoding.UTF8.GetBytes(state))})");

    private Task ReportAsync(string type, string? subtype, int at, byte[]? payload, string instance = "one") =>
        _fixture.ExecuteAsync(
            "INSERT INTO event (instance_id, seq, type, subtype, payload, created_at) VALUES "
            + $"('{instance}', {++_seq}, '{type}', {(subtype is null ? "NULL" : $"'{subtype}'")}, "
            + $"{(payload is null ? "NULL" : Bytes(payload))}, {Micros(at)})");

    /// <summary>A literal for bytes.</summary>
    protected abstract string Bytes(byte[] bytes);
}

public sealed class SqliteHistoryTests(SqliteFixture fixture) : HistoryContract(fixture), IClassFixture<SqliteFixture>
{
    protected override string Bytes(byte[] bytes) => $"x'{Convert.ToHexString(bytes)}'";
}

[Collection(PostgresCollection.Name)]
public sealed class PostgresHistoryTests(PostgresFixture fixture)
    : HistoryContract(fixture), IClassFixture<PostgresFixture>
{
    protected override string Bytes(byte[] bytes) => $@"'\x{Convert.ToHexString(bytes)}'::bytea";
}
