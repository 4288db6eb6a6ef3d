using System.Text.Json;
using Google.Protobuf;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol.Environments;
using Runtara.Runner.Tests;

namespace Runtara.EndToEnd.Tests;

/// <summary>Agents through the real daemon: an image that describes one, run on demand by crun.</summary>
[Collection(PatientCollection.Name)]
public sealed class AgentTests(Databases databases, ITestOutputHelper output) : StoryUnderFaults(output)
{
    private const string Tenant = "acme";
    private const string Metadata =
        """{"agent":{"id":"prober","capabilities":[{"id":"probe","inputs":[{"name":"mode","type":"string"}]}]}}""";

    private static readonly Lazy<byte[]> Program = new(() => StaticProgram.Compile("agent"));

    private static async Task<string> RegisterAsync(
        DaemonProcess daemon, string tenant, string name, string? metadata)
    {
        var request = new RegisterImageRequest
        {
            TenantId = tenant, Name = name, Binary = ByteString.CopyFrom(Program.Value),
        };
        if (metadata is not null)
            request.Metadata = ByteString.CopyFromUtf8(metadata);
        var registered = (await daemon.Client.PersistAsync(new RpcRequest { RegisterImage = request })).RegisterImage;
        Assert.Equal("", registered.Error);
        return registered.ImageId;
    }

    private static async Task<TestCapabilityResponse> TestAsync(
        DaemonProcess daemon, string mode, uint timeoutMs = 30_000, string tenant = Tenant, string agent = "Prober") =>
        (await daemon.Client.RepeatAsync(new RpcRequest
        {
            TestCapability = new()
            {
                TenantId = tenant, AgentId = agent, CapabilityId = "probe", TimeoutMs = timeoutMs,
                Input = ByteString.CopyFromUtf8($$"""{"mode":"{{mode}}"}"""),
            },
        })).TestCapability;

    [Fact]
    public Task A_capability_is_tested_by_one_run_of_its_image_and_leaves_nothing() =>
        databases.EachAsync(TestOnceAsync);

    private async Task TestOnceAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl, "runner.capacity=1", "runner.stop-grace=100ms");
        await daemon.StartAsync();
        await RegisterAsync(daemon, Tenant, "prober", Metadata);

        var done = await TestAsync(daemon, "echo");
        Assert.Equal((true, ""), (done.Success, done.Error));
        Assert.Equal(
            """{"input":{"agent_id":"prober","capability_id":"probe","input":{"mode":"echo"},"connection":null}}""",
            done.Output.ToStringUtf8());
        Assert.InRange(done.ExecutionTimeMs, 1ul, 30_000ul);

        Assert.Equal("no such mood", (await TestAsync(daemon, "refuse")).Error);
        var crashed = await TestAsync(daemon, "crash");
        Assert.Equal("Execution failed: exit code 3\nstderr: it broke", crashed.Error);
        foreach (var mode in (string[])["polite", "stubborn"])
        {
            var late = await TestAsync(daemon, mode, timeoutMs: 1500);
            Assert.Equal((false, "Execution timeout after 1500 ms"), (late.Success, late.Error));
        }
        var foreign = await TestAsync(daemon, "echo", tenant: "thief");
        Assert.StartsWith("Test harness not available: ", foreign.Error, StringComparison.Ordinal);

        var list = await daemon.Client.PersistAsync(new RpcRequest { ListInstances = new() });
        Assert.Equal(0u, list.ListInstances.TotalCount);
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(daemon.DataDirectory, Tenant, "runs")));
        Assert.Equal(0, await daemon.StatAsync("containers"));
        Assert.Equal(0, await daemon.StatAsync("instances_in_memory"));
    }

    [Fact]
    public Task An_agent_is_there_again_after_a_restart_and_the_harness_serves_what_nobody_provides() =>
        databases.EachAsync(TestAfterRestartAsync);

    private async Task TestAfterRestartAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        await RegisterAsync(daemon, Tenant, "prober", Metadata);
        await RegisterAsync(daemon, "__system__", "test-harness", null);
        await daemon.KillAsync();
        await daemon.StartAsync();

        var agents = await daemon.Client.PersistAsync(new RpcRequest { ListAgents = new() { TenantId = Tenant } });
        var agent = Assert.Single(JsonDocument.Parse(agents.ListAgents.AgentsJson.Memory).RootElement.EnumerateArray());
        Assert.Equal("prober", agent.GetProperty("id").GetString());
        var found = await daemon.Client.PersistAsync(
            new RpcRequest { GetCapability = new() { AgentId = "PROBER", CapabilityId = "probe" } });
        Assert.Equal(
            """[{"name":"mode","type":"string","field_type":"string","required":false}]""",
            found.GetCapability.InputsJson.ToStringUtf8());
        Assert.True((await TestAsync(daemon, "echo")).Success);
        var harness = await TestAsync(daemon, "echo", tenant: "other", agent: "utils");
        Assert.Contains("\"agent_id\":\"utils\"", harness.Output.ToStringUtf8());
    }

    [Fact]
    public Task A_test_that_the_daemon_did_not_survive_is_ended_by_the_next_one() =>
        databases.EachAsync(TestAcrossKillAsync);

    private async Task TestAcrossKillAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        await RegisterAsync(daemon, Tenant, "prober", Metadata);
        var runs = Path.Combine(daemon.DataDirectory, Tenant, "runs");
        var test = TestAsync(daemon, "stubborn");
        await UpAsync(runs);
        await daemon.KillAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => test);
        await daemon.StartAsync();
        await Eventually.IsAsync(
            () => Task.FromResult(Directory.GetFileSystemEntries(runs).Length), left => left == 0,
            TimeSpan.FromMinutes(1), "nothing of the test is left");
        Assert.Equal(0, await daemon.StatAsync("containers"));
        Assert.True((await TestAsync(daemon, "echo")).Success);
    }

    private static Task UpAsync(string runs) => Eventually.IsAsync(
        () => Task.FromResult(
            Directory.Exists(runs) && Directory.GetFiles(runs, "up", SearchOption.AllDirectories).Length == 1),
        up => up, TimeSpan.FromMinutes(1), "the program is up");

    [Fact]
    public Task A_test_that_is_under_way_when_the_daemon_is_told_to_stop_is_answered_first() =>
        databases.EachAsync(TestAcrossStopAsync);

    private async Task TestAcrossStopAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync("edge.stop-grace=40s", "runner.stop-grace=100ms");
        await RegisterAsync(daemon, Tenant, "prober", Metadata);
        // It has to be up, and the daemon told to stop, before the timeout.
        var test = TestAsync(daemon, "stubborn", timeoutMs: 12_000);
        await UpAsync(Path.Combine(daemon.DataDirectory, Tenant, "runs"));
        var exit = daemon.TerminateAsync();
        Assert.Equal("Execution timeout after 12000 ms", (await test).Error);
        Assert.Equal(0, await exit);
    }
}
