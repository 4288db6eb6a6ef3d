using System.Text;
using Google.Protobuf;
using Runtara.Protocol.Environments;

namespace Runtara.Client.Tests;

public sealed class AgentTests : IAsyncLifetime
{
    private FakeServer _server = null!;
    private RuntaraClient _client = null!;

    public async Task InitializeAsync()
    {
        _server = await FakeServer.StartAsync();
        _client = await _server.ConnectAsync();
    }

    public async Task DisposeAsync()
    {
        await _client.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Agents_are_read_from_what_the_server_s_both_spellings_say()
    {
        Answer(new() { ListAgents = new() { AgentsJson = ByteString.CopyFromUtf8(
            """
            [{"id":"a","name":"A","description":"d","hasSideEffects":true,"has_side_effects":true,
              "supports_connections":false,"integrationIds":["m"],"integration_ids":["m"],"capabilities":[
                {"id":"c-d","name":"c_d","has_side_effects":false,"is_idempotent":true,"rate_limited":false}]}]
            """) } });

        var agent = Assert.Single(await _client.ListAgentsAsync("t"));

        Assert.Equal("t", Sent().ListAgents.TenantId);
        Assert.Equal(("a", "A", "d", true, false), (
            agent.Id, agent.Name, agent.Description, agent.HasSideEffects, agent.SupportsConnections));
        Assert.Equal(["m"], agent.IntegrationIds);
        Assert.Equal(
            new CapabilityInfo("c-d", "c_d", null, null, false, true, false), Assert.Single(agent.Capabilities));
    }

    [Fact]
    public async Task The_inputs_of_a_capability_are_read()
    {
        Answer(new() { GetCapability = new() { Found = true, InputsJson = ByteString.CopyFromUtf8(
            """
            [{"name":"n","type":"integer","field_type":"integer","required":false,"default":1,"default_value":1,
              "example":"3","display_name":"N"}]
            """) } });

        var field = Assert.Single((await _client.GetCapabilityAsync("a", "c"))!);

        Assert.Equal(("a", "c"), (Sent().GetCapability.AgentId, Sent().GetCapability.CapabilityId));
        Assert.Equal(("n", "integer", false, "N", "3"), (
            field.Name, field.FieldType, field.Required, field.DisplayName, field.Example));
        Assert.Equal(1, field.DefaultValue?.GetInt32());
    }

    [Fact]
    public async Task A_missing_capability_is_null()
    {
        Answer(new() { GetCapability = new() });
        Assert.Null(await _client.GetCapabilityAsync("a", "c"));
    }

    [Fact]
    public async Task Other_json_than_expected_is_an_unexpected_reply()
    {
        Answer(new() { ListAgents = new() { AgentsJson = ByteString.CopyFromUtf8("{}") } });
        var failed = await Assert.ThrowsAsync<RuntaraException>(() => _client.ListAgentsAsync());
        Assert.Equal("UNEXPECTED_REPLY", failed.Code);
    }

    [Fact]
    public async Task A_test_carries_all_it_was_given_and_brings_its_result()
    {
        Answer(new() { TestCapability = new()
        {
            Success = true, Output = ByteString.CopyFromUtf8("""{"x":7}"""), ExecutionTimeMs = 12,
        } });

        var result = await _client.TestCapabilityAsync(new CapabilityTest("t", "a", "c")
        {
            Input = Encoding.UTF8.GetBytes("[1]"),
            Connection = Encoding.UTF8.GetBytes("{}"),
            Timeout = TimeSpan.FromSeconds(2),
        });

        var sent = Sent().TestCapability;
        Assert.Equal(("t", "a", "c", 2000u), (sent.TenantId, sent.AgentId, sent.CapabilityId, sent.TimeoutMs));
        Assert.Equal(("[1]", "{}"), (sent.Input.ToStringUtf8(), sent.Connection.ToStringUtf8()));
        Assert.Equal((true, null, 12ul), (result.Success, result.Error, result.ExecutionTimeMs));
        Assert.Equal(7, result.Output?.GetProperty("x").GetInt32());
    }

    [Fact]
    public async Task A_test_that_fails_is_a_result()
    {
        Answer(new() { TestCapability = new() { Error = "Execution timeout after 5 ms" } });
        var result = await _client.TestCapabilityAsync(new CapabilityTest("t", "a", "c"));
        Assert.Equal(new CapabilityTestResult(false, null, "Execution timeout after 5 ms", 0), result);
        Assert.False(Sent().TestCapability.HasConnection);
    }

    private void Answer(RpcResponse response) => _server.Answer = _ => response;

    private RpcRequest Sent() => _server.Requests.Single();
}
