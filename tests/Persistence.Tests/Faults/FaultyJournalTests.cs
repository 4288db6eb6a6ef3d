using System.Globalization;
using Akka.TestKit.Xunit2;
using Runtara.Actors.Images;
using Runtara.Persistence.Faults;
using Runtara.Persistence.Tests.Journal;

namespace Runtara.Persistence.Tests.Faults;

/// <summary>How often the databases of these tests fail: twice as often as those of the end-to-end tests.</summary>
public static class FaultRate
{
    /// <summary>Of a hundred calls ten fail before, ten fail after, and ten are late.</summary>
    public static FaultOptions OfTests { get; } =
        FaultOptions.AtRate(0.1) with { DelayMax = TimeSpan.FromMilliseconds(20) };
}

public sealed class FaultySqliteFixture : SqliteFixture
{
    protected override StoreOptions Configure(StoreOptions options) => options with { Faults = FaultRate.OfTests };
}

public sealed class FaultyPostgresFixture(PostgresServerFixture server) : PostgresFixture(server)
{
    protected override StoreOptions Configure(StoreOptions options) => options with { Faults = FaultRate.OfTests };
}

public sealed class FaultySqliteJournalTests(FaultySqliteFixture fixture)
    : JournalContract(fixture), IClassFixture<FaultySqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class FaultyPostgresJournalTests(FaultyPostgresFixture fixture)
    : JournalContract(fixture), IClassFixture<FaultyPostgresFixture>;

/// <summary>What was acknowledged is there, once each, and nobody stopped.</summary>
public abstract class FaultyLoadContract(StoreFixture fixture) : TestKit(TestSystem.Setup(fixture.Store), "faulty")
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Every_acknowledged_event_is_stored_once_and_no_actor_stops()
    {
        var prefix = Guid.NewGuid().ToString("N");
        using var load = new Load(Sys, prefix, 50);
        load.Start();
        await load.ProgressAsync(40, Limit);
        await load.StopAsync();
        var faults = ((FaultyDatabase)fixture.Store.Database).Faults;
        var seed = fixture.Options.Faults!.Seed;
        Assert.True(faults.Failed > faults.Lost && faults.Lost > 0, $"seed {seed}: {faults.Failed}, {faults.Lost}");
        Assert.Equal((seed, 0), (seed, load.Killed));
        foreach (var (id, acknowledged) in load.Acknowledged)
        {
            var stored = await fixture.ExecuteAsync(
                $"SELECT count(*) || '/' || max(seq) FROM journal WHERE persistence_id = '{id}'");
            Assert.Equal(
                string.Create(CultureInfo.InvariantCulture, $"seed {seed}: {acknowledged}/{acknowledged}"),
                $"seed {seed}: {stored}");
        }
    }

    [Fact]
    public async Task An_upload_whose_beginning_was_lost_keeps_no_connection()
    {
        using var patience = new CancellationTokenSource(Limit);
        for (var n = 0; n < 200; n++)
        {
            try
            {
                await using var upload = await fixture.Store.Images.BeginUploadAsync(patience.Token);
            }
            catch (InjectedFaultException)
            {
            }
        }
    }

    [Fact]
    public async Task A_deletion_of_an_image_whose_answer_was_lost_is_no_missing_image()
    {
        for (var i = 0; i < 30; i++)
        {
            var image = await RegisterAsync($"image-{i}");
            Assert.True((await fixture.Store.Images.DeleteAsync(image.Id, image.Tenant, default)).Deleted);
            Assert.Null(await fixture.Store.Images.FindAsync(image.Id, default));
        }
    }

    // An upload that fails has to be sent again; a registration whose answer was lost is then an older one.
    private async Task<Image> RegisterAsync(string name)
    {
        while (true)
        {
            try
            {
                await using var upload = await fixture.Store.Images.BeginUploadAsync(default);
                await upload.WriteAsync(new byte[] { 1, 2, 3 }, default);
                return await upload.CommitAsync(
                    new ImageRegistration(new("acme"), name, null, RunnerType.Oci, null), default);
            }
            catch (InjectedFaultException)
            {
            }
        }
    }

    [Fact]
    public async Task Queries_and_checkpoint_reads_are_answered()
    {
        for (var i = 0; i < 100; i++)
        {
            Assert.Null(await fixture.Store.Catalog.FindInstanceAsync(new("nobody"), default));
            Assert.Null(await fixture.Store.Catalog.ReadCheckpointAsync(new("nobody"), "key", default));
        }
    }
}

public sealed class FaultySqliteLoadTests(FaultySqliteFixture fixture)
    : FaultyLoadContract(fixture), IClassFixture<FaultySqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class FaultyPostgresLoadTests(FaultyPostgresFixture fixture)
    : FaultyLoadContract(fixture), IClassFixture<FaultyPostgresFixture>;
