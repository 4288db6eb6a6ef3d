using System.Text.Json;
using Google.Protobuf;
using Runtara.Client.Tests;
using Runtara.Protocol.Environments;

namespace Runtara.Cli.Tests;

public sealed class AgentCommandTests : IAsyncLifetime
{
    private readonly StringWriter _output = new();
    private readonly StringWriter _error = new();
    private FakeServer _server = null!;

    public async Task InitializeAsync() => _server = await FakeServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Agents_are_a_table_of_capabilities()
    {
        AnswerAgents();
        Assert.Equal(ExitCode.Ok, await RunAsync("agents", "--tenant", "t"));
        Assert.Contains("greeter", _output.ToString());
        Assert.Contains("say-hello", _output.ToString());
        Assert.Contains("1 agents", _output.ToString());
        Assert.Equal("t", _server.Requests.Single().ListAgents.TenantId);
    }

    [Fact]
    public async Task Agents_as_json_have_the_names_that_the_reference_s_sdk_has()
    {
        AnswerAgents();
        Assert.Equal(ExitCode.Ok, await RunAsync("list-agents", "--json"));
        var agent = JsonDocument.Parse(_output.ToString()).RootElement[0];
        Assert.Equal(
            ["id", "name", "description", "has_side_effects", "supports_connections", "integration_ids",
                "capabilities"],
            agent.EnumerateObject().Select(p => p.Name));
        Assert.True(agent.GetProperty("capabilities")[0].GetProperty("is_idempotent").GetBoolean());
        Assert.False(_server.Requests.Single().ListAgents.HasTenantId);
    }

    [Fact]
    public async Task A_capability_is_a_table_of_inputs()
    {
        Answer(new() { GetCapability = new() { Found = true, InputsJson = ByteString.CopyFromUtf8(
            """[{"name":"who","field_type":"string","required":true,"default_value":"[x]"}]""") } });
        Assert.Equal(ExitCode.Ok, await RunAsync("capability", "greeter", "say-hello"));
        Assert.Contains("who", _output.ToString());
        Assert.Contains("\"[x]\"", _output.ToString());
    }

    [Fact]
    public async Task A_missing_capability_is_refused_with_advice()
    {
        Answer(new() { GetCapability = new() });
        Assert.Equal(ExitCode.Refused, await RunAsync("capability", "greeter", "wave"));
        Assert.Contains("Capability 'wave' of agent 'greeter' not found", _error.ToString());
        Assert.Contains("List the agents", _error.ToString());
    }

    [Fact]
    public async Task A_test_reads_its_input_from_standard_input_and_shows_its_result()
    {
        Answer(new() { TestCapability = new()
        {
            Success = true, Output = ByteString.CopyFromUtf8("\"hällo\""), ExecutionTimeMs = 12,
        } });

        var exit = await RunWithAsync(
            """{"who":"x"}""", "test-capability", "greeter", "say-hello", "--tenant", "t", "--input", "-",
            "--connection", "{}", "--timeout", "500", "--json");

        Assert.Equal(ExitCode.Ok, exit);
        var json = JsonDocument.Parse(_output.ToString()).RootElement;
        Assert.Equal(
            ["success", "output", "error", "execution_time_ms"], json.EnumerateObject().Select(p => p.Name));
        Assert.Equal("hällo", json.GetProperty("output").GetString());
        var sent = _server.Requests.Single().TestCapability;
        Assert.Equal(("t", "greeter", "say-hello", 500u), (
            sent.TenantId, sent.AgentId, sent.CapabilityId, sent.TimeoutMs));
        Assert.Equal(("""{"who":"x"}""", "{}"), (sent.Input.ToStringUtf8(), sent.Connection.ToStringUtf8()));
    }

    [Fact]
    public async Task A_test_that_fails_shows_why_and_exits_with_1()
    {
        Answer(new() { TestCapability = new() { Error = "Execution failed: exit code 3", ExecutionTimeMs = 7 } });
        Assert.Equal(
            ExitCode.Refused, await RunAsync("test-capability", "a", "c", "--tenant", "t", "--input", "{}"));
        Assert.Contains("exit code 3", _output.ToString());
        Assert.Contains("7 ms", _output.ToString());
    }

    [Theory]
    [InlineData("capability", "a")]
    [InlineData("test-capability", "a", "c")]
    [InlineData("test-capability", "a", "c", "--tenant", "t", "--input", "{")]
    public async Task A_wrong_command_line_exits_with_2(params string[] args) =>
        Assert.Equal(ExitCode.Usage, await RunAsync(args));

    private void AnswerAgents() => Answer(new() { ListAgents = new() { AgentsJson = ByteString.CopyFromUtf8(
        """
        [{"id":"greeter","name":"Greeter","description":"","hasSideEffects":false,"has_side_effects":false,
          "supports_connections":false,"integration_ids":[],"capabilities":[{"id":"say-hello","name":"say_hello",
            "has_side_effects":false,"is_idempotent":true,"rate_limited":false}]}]
        """) } });

    private void Answer(RpcResponse response) => _server.Answer = _ => response;

    private Task<int> RunAsync(params string[] args) => RunWithAsync("", args);

    private Task<int> RunWithAsync(string input, params string[] args)
    {
        var variables = new Dictionary<string, string>
        {
            ["RUNTARA_ENVIRONMENT_ADDR"] = $"127.0.0.1:{_server.Address.Port}",
            ["RUNTARA_SERVER_CERT"] = _server.CertificatePath,
        };
        return new Cli(new CliEnvironment(
            new StringReader(input), _output, _error, IsInteractive: false, variables.GetValueOrDefault))
            .RunAsync(args);
    }
}
