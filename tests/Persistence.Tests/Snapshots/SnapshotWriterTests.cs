using Runtara.Persistence.Faults;
using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence.Tests.Snapshots;

/// <summary>What becomes of snapshots when the database is away for too long, and at the end.</summary>
public sealed class SnapshotWriterTests(SqliteFixture fixture) : IClassFixture<SqliteFixture>
{
    private readonly RecordingLogger _log = new();

    private StoreOptions Options => fixture.Options with
    {
        Logger = _log, ReconnectTimeout = TimeSpan.FromMilliseconds(100),
    };

    [Fact]
    public async Task An_outage_that_lasts_too_long_fails_all_that_wait_with_a_line_each()
    {
        var away = new FaultyDatabase(fixture.Store.Database, new FaultOptions { Before = 1 }, Options);
        await using var writer = new SnapshotWriter(away, Options);
        var saves = Enumerable.Range(0, 200).Select(n => SaveAsync(writer, $"one-{n}")).ToList();
        Assert.All(await Task.WhenAll(saves), cause => Assert.IsType<InjectedFaultException>(cause));
        Assert.Equal(200, _log.LinesOf("was not saved; nothing is lost").Count);
    }

    [Fact]
    public async Task One_that_fails_for_itself_does_not_fail_the_next()
    {
        await using var writer = new SnapshotWriter(fixture.Store.Database, Options);
        var broken = SaveAsync(writer, "broken", () => throw new InvalidDataException("no"));
        var next = SaveAsync(writer, "next");
        Assert.IsType<InvalidDataException>(await broken);
        Assert.Null(await next);
        Assert.Single(_log.LinesOf("A snapshot of broken at event 1 was not saved"));
    }

    [Fact]
    public async Task One_that_is_too_large_is_not_saved_and_that_is_said_once_for_each_instance()
    {
        await using var writer = new SnapshotWriter(
            fixture.Store.Database, Options with { SnapshotBytesMax = 3 });
        foreach (var id in (string[])["large-1", "large-1", "large-2"])
        {
            var cause = await SaveAsync(writer, id, () => Row(id) with { Payload = new byte[4] });
            Assert.EndsWith("(instances.snapshot-bytes-max)", Assert.IsType<SnapshotTooLargeException>(cause).Message);
        }
        Assert.Null(await SaveAsync(writer, "large-1", () => Row("large-1") with { Payload = new byte[3] }));
        Assert.Single(_log.LinesOf("A snapshot of large-1 at event 1 was not saved"));
        Assert.Single(_log.LinesOf("A snapshot of large-2 at event 1 was not saved"));
    }

    [Fact]
    public async Task What_waits_at_the_end_is_forgotten_without_a_word()
    {
        var writer = new SnapshotWriter(fixture.Store.Database, Options);
        using var hold = new ManualResetEventSlim();
        using var begun = new ManualResetEventSlim();
        var first = SaveAsync(writer, "first", () =>
        {
            begun.Set();
            hold.Wait();
            return Row("first");
        });
        var second = SaveAsync(writer, "second");
        begun.Wait();
        var end = writer.DisposeAsync();
        hold.Set();
        await end;
        await first;
        Assert.IsAssignableFrom<OperationCanceledException>(await second);
        Assert.IsType<ObjectDisposedException>(await SaveAsync(writer, "third"));
        Assert.Empty(_log.LinesOf("was not saved"));
    }

    private static Task<Exception?> SaveAsync(SnapshotWriter writer, string id, Func<SnapshotRow>? row = null)
    {
        var result = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
        writer.Enqueue(new SnapshotSave(id, 1, row ?? (() => Row(id)), result.SetResult));
        return result.Task;
    }

    private static SnapshotRow Row(string id) => new(id, 1, 0, 1, "m", [1]);
}
