using System.Net;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol;
using Runtara.Protocol.Environments;
using Runtara.Testing.Postgres;

namespace Runtara.EndToEnd.Tests;

/// <summary>The disk of the data directory fills below a daemon at work, and has room again.</summary>
[Collection(OutageCollection.Name)]
public sealed class FullDiskTests(WorkflowImage workflow, Databases databases, ITestOutputHelper output)
{
    private const string Tenant = "acme";

    /// <summary>Its own files are the workflow's business; this one writes none.</summary>
    private const string Plan = """{"steps":20,"stepMilliseconds":200,"quiet":true}""";

    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private static readonly string[] Settings =
        ["runner.disk-free-min=2MiB", "edge.request-timeout=3s", "runner.capacity=100"];

    /// <summary>Everything is on the full disk: the database, the run directories, the images.</summary>
    [Fact]
    public async Task A_full_disk_costs_time_and_loses_nothing_on_SQLite()
    {
        using var disk = Mounted.SmallDisk(96 << 20);
        await using var daemon = new DaemonProcess(output, null, Settings)
        {
            DataDirectory = Path.Combine(disk.Path, "data"),
        };
        var (image, ids) = await StartWorkAsync(daemon);

        disk.Fill();
        // Until the room that the write-ahead log still had is used up, starts are acknowledged, and hold as well.
        var refused = await StartUntilRefusedAsync(daemon, image, ids);
        Assert.Contains("the disk is full", refused);
        Assert.Contains($"make room on the disk of '{daemon.DataDirectory}", refused);
        Assert.EndsWith(ErrorCodes.SafeToRepeat, refused, StringComparison.Ordinal);
        var upload = await daemon.Client.CallAsync(
            new RpcRequest { RegisterImageStream = new() { TenantId = Tenant, Name = "another" } },
            await File.ReadAllBytesAsync(workflow.File));
        Assert.Contains("The image cannot be stored: the disk is full", upload.Error?.Message);
        Assert.Empty(Directory.GetFiles(Path.Combine(daemon.DataDirectory, "images", "uploads")));
        Assert.Equal(ids.Count, await CountAsync(daemon));
        Assert.Contains("the disk is full", await NotReadyAsync(daemon));

        disk.Free();
        await EndWellAsync(daemon, ids);
        SaysOnce(daemon, "cannot be used now: the disk is full");
        SaysOnce(daemon, "can be used again");
    }

    /// <summary>The database is elsewhere: what runs goes on, and what would be started waits.</summary>
    [Fact]
    public async Task A_full_disk_costs_time_and_loses_nothing_on_PostgreSQL()
    {
        await using var postgres = await PostgresServer.StartAsync();
        using var disk = Mounted.SmallDisk(96 << 20);
        await using var daemon = new DaemonProcess(output, await postgres.CreateDatabaseAsync(), Settings)
        {
            DataDirectory = Path.Combine(disk.Path, "data"),
        };
        var (image, ids) = await StartWorkAsync(daemon);

        disk.Fill();
        foreach (var id in (string[])["late-0", "late-1", "late-2"])
        {
            Assert.True((await daemon.Client.CallAsync(Start(image, id))).StartInstance?.Success);
            ids.Add(id);
        }
        Assert.Contains("make room", await NotReadyAsync(daemon));
        // Those that run end; of those that came later none is started, however long it takes.
        foreach (var id in ids.Take(4))
            await daemon.Client.EndAsync(id, Minute);
        Assert.Equal(InstanceStatus.StatusPending, (await daemon.Client.StatusAsync("late-0")).Status);

        disk.Free();
        await EndWellAsync(daemon, ids);
        SaysOnce(daemon, "no container is started: the disk of");
        SaysOnce(daemon, "containers are started again");
    }

    /// <summary>The database has no room: what needs none goes on, and what needs some waits.</summary>
    [Fact]
    public async Task A_full_disk_of_the_PostgreSQL_server_costs_time_and_loses_nothing()
    {
        using var disk = Mounted.SmallDisk(128 << 20);
        await using var postgres = await PostgresServer.StartAsync(Path.Combine(disk.Path, "postgres"));
        await using var daemon = new DaemonProcess(output, await postgres.CreateDatabaseAsync(), Settings);
        var (image, ids) = await StartWorkAsync(daemon);

        disk.Fill();
        var refused = await StartUntilRefusedAsync(daemon, image, ids);
        Assert.Contains("the disk of the PostgreSQL server is full (53100", refused);
        Assert.EndsWith(ErrorCodes.SafeToRepeat, refused, StringComparison.Ordinal);
        Assert.Contains("make room there", await NotReadyAsync(daemon));

        disk.Free();
        await EndWellAsync(daemon, ids);
        SaysOnce(daemon, "cannot be used now: the disk of the PostgreSQL server is full");
        SaysOnce(daemon, "can be used again");
    }

    /// <summary>Longer than writes wait: they fail, and their instances are called into memory again.</summary>
    [Fact]
    public async Task A_disk_that_is_full_for_longer_than_writes_wait_loses_nothing_on_SQLite()
    {
        using var disk = Mounted.SmallDisk(96 << 20);
        await using var daemon = new DaemonProcess(
            output, null, [.. Settings, "database.reconnect-timeout=1s", "wakes.ensure-interval=2s"])
        {
            DataDirectory = Path.Combine(disk.Path, "data"),
        };
        var (image, ids) = await StartWorkAsync(daemon);

        disk.Fill();
        await StartUntilRefusedAsync(daemon, image, ids);
        await Eventually.IsAsync(
            () => Task.FromResult(daemon.Log), log => log.Contains("have waited too long", StringComparison.Ordinal),
            Minute, "writes fail");
        await NotReadyAsync(daemon);
        Assert.True(daemon.IsRunning);

        disk.Free();
        await EndWellAsync(daemon, ids);
        SaysOnce(daemon, "cannot be used now: the disk is full");
    }

    /// <summary>
    /// A crash meets the full disk: the next daemon serves, holds what is to be started, and loses nothing.
    /// </summary>
    [Fact]
    public Task A_daemon_that_starts_again_on_a_full_disk_takes_everything_up() =>
        databases.EachAsync(StartAgainAsync);

    private async Task StartAgainAsync(string? databaseUrl)
    {
        using var disk = Mounted.SmallDisk(96 << 20);
        await using var daemon = new DaemonProcess(output, databaseUrl, Settings)
        {
            DataDirectory = Path.Combine(disk.Path, "data"),
        };
        var (image, ids) = await StartWorkAsync(daemon);

        await daemon.KillAsync();
        disk.Fill();
        await daemon.StartAsync();
        Assert.Contains("the disk of", await NotReadyAsync(daemon));
        Assert.Equal(ids.Count, await CountAsync(daemon));
        var late = await daemon.Client.CallAsync(Start(image, "late"));
        if (databaseUrl is not null || late.Error is null)
        {
            Assert.True(late.StartInstance?.Success, $"{late}");
            ids.Add("late");
        }
        else
            Assert.Contains("the disk is full", late.Error.Message);
        Assert.Equal(ids.Count, await CountAsync(daemon));

        disk.Free();
        await EndWellAsync(daemon, ids);
        SaysOnce(daemon, "no container is started: the disk of");
        SaysOnce(daemon, "containers are started again");
    }

    private async Task<(string Image, List<string> Ids)> StartWorkAsync(DaemonProcess daemon)
    {
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        var ids = Enumerable.Range(0, 4).Select(i => $"order-{i}").ToList();
        foreach (var id in ids)
            Assert.True((await daemon.Client.CallAsync(Start(image, id))).StartInstance?.Success);
        foreach (var id in ids)
        {
            await Eventually.IsAsync(
                () => daemon.Client.StatusAsync(id), s => s.CheckpointId.Length > 0, Minute, $"{id} saves checkpoints");
        }
        return (image, ids);
    }

    /// <summary>What the first refusal says; what was acknowledged before it joins the ids.</summary>
    private static async Task<string> StartUntilRefusedAsync(DaemonProcess daemon, string image, List<string> ids)
    {
        while (true)
        {
            var id = $"order-{ids.Count}";
            if ((await daemon.Client.CallAsync(Start(image, id))).Error is { } error)
                return error.Message;
            ids.Add(id);
        }
    }

    private static RpcRequest Start(string image, string id) => new()
    {
        StartInstance = new()
        {
            TenantId = Tenant,
            ImageId = image,
            InstanceId = id,
            Input = Google.Protobuf.ByteString.CopyFromUtf8(Plan),
        },
    };

    private static async Task<int> CountAsync(DaemonProcess daemon) =>
        (int)(await daemon.Client.PersistAsync(new RpcRequest { ListInstances = new() })).ListInstances.TotalCount;

    private static async Task<string> NotReadyAsync(DaemonProcess daemon)
    {
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await daemon.ProbeAsync("readyz"));
        Assert.Equal(HttpStatusCode.OK, await daemon.ProbeAsync("livez"));
        return await daemon.ReadAsync("readyz");
    }

    private static async Task EndWellAsync(DaemonProcess daemon, List<string> ids)
    {
        foreach (var id in ids)
        {
            var ended = await daemon.Client.EndAsync(id, Minute);
            Assert.Equal((InstanceStatus.StatusCompleted, ""), (ended.Status, ended.Error));
            Assert.Equal(1u, ended.RetryCount);
            Assert.StartsWith("""{"sum":190,""", ended.Output.ToStringUtf8(), StringComparison.Ordinal);
        }
        await Eventually.IsAsync(
            () => daemon.ProbeAsync("readyz"), status => status == HttpStatusCode.OK, Minute, "it is ready again");
    }

    private static void SaysOnce(DaemonProcess daemon, string line)
    {
        Assert.Single(daemon.Log.Split('\n'), l => l.Contains(line, StringComparison.Ordinal));
        Assert.DoesNotContain("   at ", daemon.Log);
    }
}
