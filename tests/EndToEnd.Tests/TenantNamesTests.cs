using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol.Environments;
using Runtara.Runner.Tests;

namespace Runtara.EndToEnd.Tests;

/// <summary>Tenants that are called like what the daemon keeps beside their directories.</summary>
[Collection(PatientCollection.Name)]
public sealed class TenantNamesTests(Databases databases, ITestOutputHelper output) : StoryUnderFaults(output)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    // What SQLite makes in other modes, or a daemon for a moment; the rest is seen in the data directory.
    private static readonly string[] AtOtherTimes =
        ["runtara.db-journal", "runtara.db-wal", "runtara.db-shm", "runtara.db.lock", "quic-key.pem.new"];

    /// <summary>Whatever there is at the top of the data directory, a tenant of that name takes nothing away.</summary>
    [Fact]
    public Task A_tenant_called_like_a_file_of_the_daemon_runs_and_takes_nothing_away() =>
        databases.EachAsync(url => RunAsync(NewDaemon(url)));

    /// <summary>A database in the data directory has whatever name its URL gives it.</summary>
    [Fact]
    public async Task A_tenant_called_like_the_database_runs_and_takes_nothing_away()
    {
        var directory = Directory.CreateTempSubdirectory("runtara-e2e-").FullName;
        var daemon = new DaemonProcess(Output, $"sqlite:{Path.Combine(directory, "state")}")
        {
            DataDirectory = directory, FaultPercent = FaultPercent,
        };
        await RunAsync(daemon, "state-journal", "state-wal", "state-shm");
    }

    private static async Task RunAsync(DaemonProcess daemon, params string[] more)
    {
        await using var ends = daemon;
        await daemon.StartAsync();
        var program = Path.Combine(Directory.CreateTempSubdirectory("runtara-program-").FullName, "instant");
        await File.WriteAllBytesAsync(program, StaticProgram.Compile("instant"));
        await CompleteAsync(daemon, program, "acme", "first");

        var kept = Directory.GetFileSystemEntries(daemon.DataDirectory).Select(path => Path.GetFileName(path)!);
        string[] tenants = [.. kept.Union(AtOtherTimes).Union(more).Where(name => name != "acme")];
        Assert.Superset(new HashSet<string> { "crun", "images", "launches", "daemon.lock" }, tenants.ToHashSet());
        foreach (var tenant in tenants)
            await CompleteAsync(daemon, program, tenant, "a");
        await daemon.TerminateAsync();
        await daemon.StartAsync();
        foreach (var tenant in tenants.Append("acme"))
            await CompleteAsync(daemon, program, tenant, "b");
        Assert.Equal(InstanceStatus.StatusCompleted, (await daemon.Client.StatusAsync("first")).Status);
        Assert.True(Directory.Exists(daemon.RunDirectory("acme", "first")));
        Directory.Delete(Path.GetDirectoryName(program)!, recursive: true);
    }

    private static async Task CompleteAsync(DaemonProcess daemon, string program, string tenant, string id)
    {
        if (id != "first")
            id = $"{tenant}-{id}";
        var image = await daemon.Client.RegisterAsync(tenant, "instant", program);
        var started = await daemon.Client.StartAsync(tenant, image, id, "{}");
        Assert.True(started.Success, started.Error);
        var ended = await daemon.Client.EndAsync(id, Minute);
        Assert.Equal((InstanceStatus.StatusCompleted, "", tenant), (ended.Status, ended.Error, tenant));
    }
}
