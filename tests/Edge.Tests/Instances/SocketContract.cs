using System.Runtime.InteropServices;
using Runtara.Edge.Tests.Harness;
using Runtara.Protocol.Instances;

namespace Runtara.Edge.Tests.Instances;

public abstract class SocketContract(EdgeHost edge)
{
    [Fact]
    public async Task A_socket_speaks_for_its_own_instance_only()
    {
        await using var victim = await WorkflowClient.RegisteredAsync(edge, "socket");
        await using var other = await WorkflowClient.RegisteredAsync(edge, "socket");
        var refusal = $"this socket speaks for instance '{other.Id}' only, not for '{victim.Id}'";
        foreach (var request in (RpcRequest[])[
            new() { RegisterInstance = new() { InstanceId = victim.Id, TenantId = EdgeHost.Tenant } },
            new() { Checkpoint = new() { InstanceId = victim.Id, CheckpointId = "k" } },
            new() { GetCheckpoint = new() { InstanceId = victim.Id, CheckpointId = "k" } },
            new() { Sleep = new() { InstanceId = victim.Id } },
            new() { InstanceEvent = victim.Event(InstanceEventType.EventCompleted) },
            new() { GetInstanceStatus = new() { InstanceId = victim.Id } },
            new() { PollSignals = new() { InstanceId = victim.Id } },
            new() { SignalAck = new() { InstanceId = victim.Id, Acknowledged = true } },
            new() { RetryAttempt = new() { InstanceId = victim.Id } }])
        {
            var answer = await other.CallAsync(request);
            Assert.Equal(refusal, answer!.Error?.Message);
        }
        var batch = new InstanceEventBatch { Events = { victim.Event(InstanceEventType.EventCompleted) } };
        await other.CallAsync(new RpcRequest { InstanceEventBatch = batch });
        Assert.Equal(InstanceStatus.StatusRunning, (await victim.StatusAsync()).Status);
    }

    [Fact]
    public async Task A_path_longer_than_a_socket_address_works_and_the_file_goes_with_the_door()
    {
        var directory = Path.Combine(edge.DirectoryPath, new string('d', 100), new string('e', 100));
        Directory.CreateDirectory(directory);
        var path = Path.Combine(directory, "runtara.sock");
        Assert.True(path.Length > 108);
        var link = Path.Combine(edge.DirectoryPath, edge.NewName("link"));
        Directory.CreateSymbolicLink(link, directory);
        var id = edge.NewName();
        await File.WriteAllTextAsync(path, "left by an earlier life");
        var door = await edge.Door.OpenAsync(new(id), new(EdgeHost.Tenant), new(0), path, default);
        var answer = await WorkflowClient.CallSocketAsync(
            Path.Combine(link, "runtara.sock"),
            new RpcRequest { RegisterInstance = new() { InstanceId = id, TenantId = EdgeHost.Tenant } });
        Assert.True(answer!.RegisterInstance.Success);
        await door.DisposeAsync();
        Assert.False(File.Exists(path));
    }

    [Fact]
    public async Task Closing_a_door_leaves_the_socket_of_another_directory_alone()
    {
        var (mine, others) = (
            Path.Combine(edge.DirectoryPath, edge.NewName("r")), Path.Combine(edge.DirectoryPath, edge.NewName("r")));
        Directory.CreateDirectory(mine);
        Directory.CreateDirectory(others);
        var precious = Path.Combine(others, "runtara.sock");
        await File.WriteAllTextAsync(precious, "");
        var door = await edge.Door.OpenAsync(
            new(edge.NewName()), new(EdgeHost.Tenant), new(0), Path.Combine(mine, "runtara.sock"), default);
        // Whatever descriptor the door used to bind must not be what it deletes by.
        var descriptors = Enumerable.Range(0, 64).Select(_ => open(others, 0x10000)).ToList();
        await door.DisposeAsync();
        descriptors.ForEach(descriptor => close(descriptor));
        Assert.True(File.Exists(precious));
        Assert.False(File.Exists(Path.Combine(mine, "runtara.sock")));
    }

    [Fact]
    public async Task A_door_in_no_directory_says_which()
    {
        var path = Path.Combine(edge.DirectoryPath, "nowhere", "runtara.sock");
        var e = await Assert.ThrowsAsync<DirectoryNotFoundException>(
            async () => await edge.Door.OpenAsync(new("i"), new(EdgeHost.Tenant), new(0), path, default));
        Assert.Contains("nowhere", e.Message);
    }

    [Fact]
    public async Task A_closed_door_hangs_up_on_who_sleeps_behind_it()
    {
        var workflow = await WorkflowClient.RegisteredAsync(edge, "socket");
        var sleeping = workflow.CallAsync(
            new RpcRequest { Sleep = new() { InstanceId = workflow.Id, CheckpointId = "nap", DurationMs = 600_000 } });
        await workflow.SaveAsync("k", "x");
        await workflow.DisposeAsync();
        Assert.Null(await sleeping);
    }

    [Fact]
    public async Task The_socket_of_an_earlier_attempt_changes_nothing()
    {
        var id = await edge.LaunchAsync();
        await using var first = await WorkflowClient.ConnectAsync(edge, "socket", id, attempt: 1);
        Assert.True((await first.RegisterAsync()).Success);
        await first.SaveAsync("k", "of the first");
        edge.Kill(id, 1);
        await edge.LaunchedAsync(id, 2);
        await using var second = await WorkflowClient.ConnectAsync(edge, "socket", id, attempt: 2);
        Assert.True((await second.RegisterAsync()).Success);

        var stale = "the request is of an attempt before 2";
        Assert.Contains(stale, (await first.RegisterAsync()).Error);
        Assert.Contains(stale, (await first.SaveAsync("k2", "late")).Error.Message);
        Assert.Contains(stale, (await first.SleepAsync("nap", 0)).Error.Message);
        Assert.Contains(stale, (await first.ReportAsync(InstanceEventType.EventCompleted, "late")).InstanceEvent.Error);
        Assert.Contains(stale, (await first.ReportAsync(InstanceEventType.EventFailed, "late")).InstanceEvent.Error);
        Assert.Contains(stale, (await first.ReportAsync(InstanceEventType.EventSuspended)).InstanceEvent.Error);
        Assert.Contains(stale, (await first.ReportAsync(InstanceEventType.EventCustom)).InstanceEvent.Error);

        Assert.Equal(InstanceStatus.StatusRunning, (await second.StatusAsync()).Status);
        Assert.False((await second.LoadAsync("k2")).GetCheckpoint.Found);
        Assert.True((await second.SaveAsync("k", "of the second")).Checkpoint.Found);
        Assert.True((await second.ReportAsync(InstanceEventType.EventCompleted, "done")).InstanceEvent.Success);
        Assert.Equal("done", (await first.StatusAsync()).Output.ToStringUtf8());
    }

    [Fact]
    public async Task A_connection_that_registered_speaks_for_that_attempt_and_a_new_one_for_the_live_attempt()
    {
        var id = await edge.LaunchAsync();
        await using var first = await WorkflowClient.ConnectAsync(edge, "quic", id);
        Assert.True((await first.RegisterAsync()).Success);
        edge.Kill(id, 1);
        await edge.LaunchedAsync(id, 2);
        Assert.Contains("of an attempt before 2", (await first.SaveAsync("k", "late")).Error.Message);
        await using var second = await WorkflowClient.ConnectAsync(edge, "quic", id);
        Assert.False((await second.SaveAsync("k", "live")).Checkpoint.Found);
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc")]
    private static extern int close(int descriptor);
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteSocketTests(EdgeHost edge) : SocketContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresSocketTests(PostgresEdgeHost edge) : SocketContract(edge);
