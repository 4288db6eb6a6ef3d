using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Runtara.Actors.Runners;
using Runtara.Edge.Tests.Harness;
using Runtara.Protocol.Environments;

namespace Runtara.Edge.Tests.Environments;

/// <summary>
/// Tests of capabilities as the edge sees them: which image runs, with which input, and what a reply says;
/// on both databases.
/// </summary>
public abstract class CapabilityContract(EdgeHost edge)
{
    private readonly string _tenant = edge.NewName("tests");

    private async Task<string> RegisterAsync(
        string tenant, string name, string? metadata, RunnerType runner = RunnerType.RunnerOci)
    {
        var request = new RegisterImageRequest
        {
            TenantId = tenant, Name = name, Binary = ByteString.CopyFrom(Executables.Static("program")),
            RunnerType = runner,
        };
        if (metadata is not null)
            request.Metadata = ByteString.CopyFromUtf8(metadata);
        var response = await edge.Environment.CallAsync(new RpcRequest { RegisterImage = request });
        Assert.Equal("", response!.RegisterImage.Error);
        return response.RegisterImage.ImageId;
    }

    private async Task<TestCapabilityResponse> TestAsync(
        string agent = "greeter", string capability = "say-hello", string input = "{}",
        Action<TestCapabilityRequest>? with = null)
    {
        var request = new TestCapabilityRequest
        {
            TenantId = _tenant, AgentId = agent, CapabilityId = capability, Input = ByteString.CopyFromUtf8(input),
        };
        with?.Invoke(request);
        return (await edge.Environment.CallAsync(new RpcRequest { TestCapability = request }))!.TestCapability;
    }

    private async Task<TestCapabilityResponse> TestWithAsync(CapabilityOutcome outcome)
    {
        await RegisterAsync(_tenant, "greeter", AgentContract.Greeter);
        edge.Capabilities.Answer(_tenant, outcome);
        return await TestAsync();
    }

    private static RunOutput Output(RunOutputStatus status, string? error = null) =>
        new(status, default, error, null, null);

    [Fact]
    public async Task The_image_that_provides_the_agent_runs_with_the_input_of_the_harness_convention()
    {
        var image = await RegisterAsync(_tenant, "greeter", AgentContract.Greeter);
        edge.Capabilities.Answer(_tenant, RunOutputStatus.Completed, """{"text":"hällo"}""");
        var tested = await TestAsync(
            "GREETER", input: """{"who":"world"}""",
            with: r => r.Connection = ByteString.CopyFromUtf8("""{"integration_id":"mail","parameters":{}}"""));
        Assert.Equal(
            (true, """{"text":"hällo"}""", "", 12ul),
            (tested.Success, tested.Output.ToStringUtf8(), tested.Error, tested.ExecutionTimeMs));
        Assert.False(tested.HasError);
        var run = Assert.Single(edge.Capabilities.TestsOf(_tenant));
        Assert.Equal((image, TimeSpan.FromSeconds(30)), (run.Image.Value, run.Timeout));
        Assert.Equal(
            """{"agent_id":"Greeter","capability_id":"say-hello","input":{"who":"world"}"""
            + ""","connection":{"integration_id":"mail","parameters":{}}}""",
            Encoding.UTF8.GetString(run.Input.Span));
    }

    [Fact]
    public async Task What_is_not_json_is_null_and_the_timeout_is_the_caller_s()
    {
        await RegisterAsync(_tenant, "greeter", AgentContract.Greeter);
        edge.Capabilities.Answer(_tenant, RunOutputStatus.Completed);
        var tested = await TestAsync(input: "{no json", with: r => r.TimeoutMs = 1500);
        Assert.Equal((true, "null"), (tested.Success, tested.Output.ToStringUtf8()));
        var run = Assert.Single(edge.Capabilities.TestsOf(_tenant));
        Assert.Equal(TimeSpan.FromSeconds(1.5), run.Timeout);
        var input = JsonDocument.Parse(run.Input).RootElement;
        Assert.Equal(JsonValueKind.Null, input.GetProperty("input").ValueKind);
        Assert.Equal(JsonValueKind.Null, input.GetProperty("connection").ValueKind);
    }

    [Theory]
    [InlineData(RunOutputStatus.Failed, "no such mood", "no such mood")]
    [InlineData(RunOutputStatus.Failed, null, "Capability execution failed")]
    [InlineData(RunOutputStatus.Suspended, null, "Unexpected status: suspended")]
    [InlineData(RunOutputStatus.Sleeping, null, "Unexpected status: sleeping")]
    [InlineData(RunOutputStatus.Cancelled, null, "Unexpected status: cancelled")]
    public async Task What_the_program_reports_is_the_error(RunOutputStatus status, string? error, string expected)
    {
        var tested = await TestWithAsync(RecordingCapabilities.Exited(Output(status, error), code: 1));
        Assert.Equal((false, expected, 12ul), (tested.Success, tested.Error, tested.ExecutionTimeMs));
        Assert.Empty(tested.Output);
    }

    [Fact]
    public async Task A_crash_is_told_with_its_exit_code_and_the_end_of_standard_error() => Assert.Equal(
        "Execution failed: exit code 3\nstderr: it broke",
        (await TestWithAsync(RecordingCapabilities.Exited(null, code: 3, stderr: "it broke\n"))).Error);

    [Fact]
    public async Task A_crash_by_a_signal_or_for_want_of_memory_says_so()
    {
        Assert.Equal(
            "Execution failed: signal 11",
            (await TestWithAsync(RecordingCapabilities.Exited(null, code: null, signal: 11))).Error);
        Assert.Equal(
            "Execution failed: out of memory",
            (await TestWithAsync(RecordingCapabilities.Exited(null, null, 9, outOfMemory: true))).Error);
    }

    [Fact]
    public async Task An_end_without_a_result_says_so() => Assert.Equal(
        "Execution failed: exit code 0 without an output.json that can be read",
        (await TestWithAsync(RecordingCapabilities.Exited(null))).Error);

    [Fact]
    public async Task A_timeout_is_called_a_timeout() => Assert.Equal(
        "Execution timeout after 30000 ms\nstderr: half",
        (await TestWithAsync(RecordingCapabilities.Exited(
            null, null, signal: 9, stderr: "half", timedOut: true))).Error);

    [Fact]
    public async Task A_container_that_does_not_start_and_a_full_node_are_told_apart()
    {
        Assert.Equal(
            "Execution failed: crun is missing",
            (await TestWithAsync(new CapabilityOutcome.NotStarted("crun is missing"))).Error);
        Assert.Equal(
            "Execution failed: no container was free within 30000 ms (runner.capacity)",
            (await TestWithAsync(new CapabilityOutcome.NoPlace())).Error);
    }

    [Fact]
    public async Task Without_a_provider_and_a_harness_it_says_that_the_harness_is_not_available()
    {
        var unknown = await TestAsync("nobody");
        Assert.Equal(
            "Test harness not available: no image provides agent 'nobody', and tenant '__system__' has no image "
            + "'test-harness'", unknown.Error);
        Assert.False(unknown.Success);
        await RegisterAsync(_tenant, "greeter", AgentContract.Greeter);
        Assert.Equal(
            "Test harness not available: agent 'Greeter' has no capability 'wave'",
            (await TestAsync(capability: "wave")).Error);
        await RegisterAsync(_tenant, "greeter", AgentContract.Greeter, RunnerType.RunnerWasm);
        Assert.Equal(
            "Test harness not available: image 'greeter', which provides agent 'Greeter', has no bundle",
            (await TestAsync()).Error);
        Assert.Empty(edge.Capabilities.TestsOf(_tenant));
    }

    [Fact]
    public async Task The_agent_of_another_tenant_is_as_missing()
    {
        await RegisterAsync(
            edge.NewName("owner"), "n", """{"agent":{"id":"secret","capabilities":[{"id":"open"}]}}""");
        var foreign = await TestAsync("secret", "open");
        var missing = await TestAsync("absent", "open");
        Assert.Equal(missing.Error.Replace("absent", "secret"), foreign.Error);
        Assert.Contains("Test harness not available", foreign.Error);
    }

    [Fact]
    public async Task The_test_harness_of_the_system_serves_agents_that_no_image_provides()
    {
        edge.Capabilities.Answer(_tenant, RunOutputStatus.Completed, "7");
        var harness = await RegisterAsync("__system__", "test-harness", null);
        try
        {
            Assert.Equal("7", (await TestAsync("Utils", "random-double")).Output.ToStringUtf8());
            var run = Assert.Single(edge.Capabilities.TestsOf(_tenant));
            Assert.Equal(harness, run.Image.Value);
            Assert.Contains("""{"agent_id":"Utils","capability_id":"random-double",""", Text(run));
            var renewed = await RegisterAsync("__system__", "test-harness", null);
            await TestAsync("Utils", "random-double");
            Assert.Equal(renewed, edge.Capabilities.TestsOf(_tenant)[^1].Image.Value);
            harness = renewed;
        }
        finally
        {
            await edge.Environment.CallAsync(
                new RpcRequest { DeleteImage = new() { ImageId = harness, TenantId = "__system__" } });
        }
    }

    [Fact]
    public async Task The_images_of_the_system_are_missing_to_every_other_tenant()
    {
        var image = await RegisterAsync("__system__", edge.NewName("of-the-system"), null);
        foreach (var answer in (string[])[
            (await CallAsync(new() { StartInstance = new() { ImageId = image, TenantId = _tenant } }))
                .StartInstance.Error,
            (await CallAsync(new() { DeleteImage = new() { ImageId = image, TenantId = _tenant } })).DeleteImage.Error])
        {
            Assert.Equal($"Image '{image}' not found", answer);
        }
        var got = await CallAsync(new() { GetImage = new() { ImageId = image, TenantId = _tenant } });
        Assert.False(got.GetImage.Found);
        var list = await CallAsync(new() { ListImages = new() { TenantId = _tenant } });
        Assert.Equal(0u, list.ListImages.TotalCount);
        await CallAsync(new() { DeleteImage = new() { ImageId = image, TenantId = "__system__" } });
    }

    private async Task<RpcResponse> CallAsync(RpcRequest request) => (await edge.Environment.CallAsync(request))!;

    private static string Text(CapabilityTest run) => Encoding.UTF8.GetString(run.Input.Span);

    [Fact]
    public async Task A_bad_request_is_refused_with_field_and_rule()
    {
        Assert.Equal("tenant_id is required", (await TestAsync(with: r => r.TenantId = "")).Error);
        Assert.Equal("agent_id is required", (await TestAsync("")).Error);
        Assert.Equal("capability_id is required", (await TestAsync(capability: "")).Error);
        Assert.Equal(
            "input and connection have 2001 bytes, the limit is 2000 (edge.input-bytes-max)",
            (await TestAsync(input: new string(' ', 2001))).Error);
        foreach (var timeout in (uint[])[0, 3_600_001])
        {
            Assert.Equal(
                $"timeout_ms must be from 1 to 3600000 (edge.capability-timeout-max), not {timeout}",
                (await TestAsync(with: r => r.TimeoutMs = timeout)).Error);
        }
    }
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteCapabilityTests(EdgeHost edge) : CapabilityContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresCapabilityTests(PostgresEdgeHost edge) : CapabilityContract(edge);
