using System.Text.Json;
using Google.Protobuf;
using Runtara.Edge.Tests.Harness;
using Runtara.Protocol.Environments;

namespace Runtara.Edge.Tests.Environments;

/// <summary>Agents that images describe in their metadata: registration, lists, lookups; on both databases.</summary>
public abstract class AgentContract(EdgeHost edge)
{
    internal const string Greeter =
        """
        {"agent":{"id":"Greeter","name":"Greeter","description":"Says hello","hasSideEffects":true,
          "integrationIds":["mail"],"capabilities":[
            {"id":"say-hello","displayName":"Say hello","hasSideEffects":true,"inputType":"HelloInput","inputs":[
              {"name":"who","type":"string","required":true,"displayName":"Who","example":"world"},
              {"name":"times","field_type":"integer","default_value":1,"example":3,"enum":["1","3"]}],
              "output":{"type":"object","fields":[{"name":"text","type":"string"}],"nullable":true}}]}}
        """;

    private async Task<RpcResponse> CallAsync(RpcRequest request) => (await edge.Environment.CallAsync(request))!;

    private async Task<RegisterImageResponse> RegisterAsync(string tenant, string name, string? metadata)
    {
        var request = new RegisterImageRequest
        {
            TenantId = tenant, Name = name, Binary = ByteString.CopyFrom(Executables.Static("program")),
        };
        if (metadata is not null)
            request.Metadata = ByteString.CopyFromUtf8(metadata);
        return (await CallAsync(new RpcRequest { RegisterImage = request })).RegisterImage;
    }

    private async Task<string> RegisteredAsync(string tenant, string name, string? metadata)
    {
        var registered = await RegisterAsync(tenant, name, metadata);
        Assert.Equal("", registered.Error);
        return registered.ImageId;
    }

    private async Task<JsonElement> ListAsync(string? tenant)
    {
        var request = new ListAgentsRequest();
        if (tenant is not null)
            request.TenantId = tenant;
        var response = await CallAsync(new RpcRequest { ListAgents = request });
        return JsonDocument.Parse(response.ListAgents.AgentsJson.Memory).RootElement;
    }

    private async Task<string?> NameOfOnlyAsync(string tenant) =>
        Assert.Single((await ListAsync(tenant)).EnumerateArray()).GetProperty("name").GetString();

    private async Task<string[]> IdsAsync(string? tenant) =>
        [.. (await ListAsync(tenant)).EnumerateArray().Select(a => a.GetProperty("id").GetString()!)];

    private async Task<GetCapabilityResponse> GetAsync(string agent, string capability) =>
        (await CallAsync(new RpcRequest { GetCapability = new() { AgentId = agent, CapabilityId = capability } }))
        .GetCapability;

    private static string Agent(string id, string capability = "run", string name = "") =>
        $$$"""{"agent":{"id":"{{{id}}}","name":"{{{name}}}","capabilities":[{"id":"{{{capability}}}"}]}}""";

    [Fact]
    public async Task A_listed_agent_has_both_spellings_of_every_key_and_all_that_clients_require()
    {
        var tenant = edge.NewName("agents");
        await RegisteredAsync(tenant, "greeter", Greeter);
        var agent = Assert.Single((await ListAsync(tenant)).EnumerateArray());
        Assert.Equal(
            """
            {"id":"Greeter","name":"Greeter","description":"Says hello","hasSideEffects":true,"has_side_effects":true,
            "supportsConnections":false,"supports_connections":false,"integrationIds":["mail"],
            "integration_ids":["mail"],"capabilities":[{"id":"say-hello","name":"say_hello",
            "displayName":"Say hello","display_name":"Say hello","inputType":"HelloInput","input_type":"HelloInput",
            "inputs":[{"name":"who","displayName":"Who","display_name":"Who","type":"string","field_type":"string",
            "required":true,"example":"world"},{"name":"times","type":"integer","field_type":"integer",
            "required":false,"default":1,"default_value":1,"example":"3","enum":["1","3"]}],
            "output":{"type":"object","field_type":"object",
            "fields":[{"name":"text","type":"string","field_type":"string"}],"nullable":true},
            "hasSideEffects":true,"has_side_effects":true,"isIdempotent":false,"is_idempotent":false,
            "rateLimited":false,"rate_limited":false}]}
            """.Replace("\n", ""),
            agent.GetRawText());
    }

    [Fact]
    public async Task A_minimal_agent_gets_every_required_key_with_its_default()
    {
        var tenant = edge.NewName("agents");
        await RegisteredAsync(tenant, "n", """{"agents":[{"id":"small","capabilities":[{"id":"do-it"}]}]}""");
        Assert.Equal(
            """
            {"id":"small","name":"small","description":"","hasSideEffects":false,"has_side_effects":false,
            "supportsConnections":false,"supports_connections":false,"integrationIds":[],"integration_ids":[],
            "capabilities":[{"id":"do-it","name":"do_it","inputType":"","input_type":"","inputs":[],
            "output":{"type":"any","field_type":"any"},"hasSideEffects":false,"has_side_effects":false,
            "isIdempotent":true,"is_idempotent":true,"rateLimited":false,"rate_limited":false}]}
            """.Replace("\n", ""),
            Assert.Single((await ListAsync(tenant)).EnumerateArray()).GetRawText());
    }

    [Fact]
    public async Task A_tenant_sees_its_own_agents_and_the_system_s_and_a_list_without_tenant_has_all()
    {
        var (mine, theirs) = (edge.NewName("agents"), edge.NewName("agents"));
        await RegisteredAsync(mine, "n", Agent($"own-of-{mine}"));
        await RegisteredAsync(theirs, "n", Agent($"own-of-{theirs}"));
        await RegisteredAsync("__system__", "n", Agent($"shared-{mine}"));
        var seen = await IdsAsync(mine);
        Assert.Contains($"own-of-{mine}", seen);
        Assert.Contains($"shared-{mine}", seen);
        Assert.DoesNotContain($"own-of-{theirs}", seen);
        Assert.Empty(new[] { $"own-of-{mine}", $"own-of-{theirs}", $"shared-{mine}" }.Except(await IdsAsync(null)));
        // The shared one is gone for the other tests of this daemon.
        await RegisteredAsync("__system__", "n", null);
        Assert.Equal([$"own-of-{mine}"], await IdsAsync(mine));
    }

    [Fact]
    public async Task Only_current_registrations_count_and_of_two_images_with_one_agent_the_newest_wins()
    {
        var tenant = edge.NewName("agents");
        var id = $"twice-{tenant}";
        await RegisteredAsync(tenant, "one", Agent(id, name: "first"));
        var second = await RegisteredAsync(tenant, "two", Agent(id.ToUpperInvariant(), "walk", "second"));
        Assert.Equal("second", await NameOfOnlyAsync(tenant));
        Assert.True((await GetAsync(id, "walk")).Found);
        await CallAsync(new RpcRequest { DeleteImage = new() { ImageId = second, TenantId = tenant } });
        Assert.Equal("first", await NameOfOnlyAsync(tenant));
        Assert.False((await GetAsync(id, "walk")).Found);
        await RegisteredAsync(tenant, "one", """{"agents":[]}""");
        Assert.Empty(await IdsAsync(tenant));
    }

    [Fact]
    public async Task An_agent_without_capabilities_is_left_out()
    {
        var tenant = edge.NewName("agents");
        await RegisteredAsync(
            tenant, "n", """{"agents":[{"id":"idle","capabilities":[]},{"id":"b","capabilities":[{"id":"c"}]}]}""");
        Assert.Equal(["b"], await IdsAsync(tenant));
    }

    [Fact]
    public async Task Without_agents_the_list_is_an_empty_array() =>
        Assert.Equal("[]", (await ListAsync(edge.NewName("nobody"))).GetRawText());

    [Fact]
    public async Task A_capability_is_found_by_agent_without_regard_to_case_and_by_its_exact_id()
    {
        var tenant = edge.NewName("agents");
        var agent = $"Echo-{tenant}";
        await RegisteredAsync(
            tenant, "n", $$"""
            {"agents":[{"id":"{{agent}}","capabilities":[
              {"id":"say-hello","inputs":[{"name":"who","type":"string","required":true}]}]}]}
            """);
        foreach (var id in (string[])[agent, agent.ToUpperInvariant(), agent.ToLowerInvariant()])
        {
            var found = await GetAsync(id, "say-hello");
            Assert.True(found.Found);
            Assert.Empty(found.CapabilityJson);
            Assert.Equal(
                """[{"name":"who","type":"string","field_type":"string","required":true}]""",
                found.InputsJson.ToStringUtf8());
        }
        Assert.Equal(new GetCapabilityResponse(), await GetAsync(agent, "Say-Hello"));
        Assert.Equal(new GetCapabilityResponse(), await GetAsync("no-such-agent", "say-hello"));
        Assert.Equal(new GetCapabilityResponse(), await GetAsync("", ""));
    }

    [Fact]
    public async Task A_right_capability_under_a_wrong_agent_is_not_found()
    {
        var tenant = edge.NewName("agents");
        await RegisteredAsync(tenant, "a", Agent($"a-{tenant}", "left"));
        await RegisteredAsync(tenant, "b", Agent($"b-{tenant}", "right"));
        Assert.True((await GetAsync($"b-{tenant}", "right")).Found);
        Assert.Equal(new GetCapabilityResponse(), await GetAsync($"a-{tenant}", "right"));
    }

    [Theory]
    [InlineData("""{"agent":7}""", "metadata.agent must be an object")]
    [InlineData("""{"agents":{}}""", "metadata.agents must be an array")]
    [InlineData("""{"agent":{},"agents":[]}""", "metadata must have agent or agents, not both")]
    [InlineData("""{"agent":{}}""", "metadata.agent.id is required")]
    [InlineData("""{"agent":{"id":"a/b"}}""", "metadata.agent.id may have only A-Z a-z 0-9 . _ : -, not '/'")]
    [InlineData("""{"agent":{"id":7}}""", "metadata.agent.id must be a string")]
    [InlineData("""{"agent":{"id":"a","capabilities":null}}""", "metadata.agent.capabilities is required")]
    [InlineData("""{"agents":[{"id":"a","capabilities":7}]}""", "metadata.agents[0].capabilities must be an array")]
    [InlineData(
        """{"agent":{"id":"a","has_side_effects":"no"}}""", "metadata.agent.has_side_effects must be true or false")]
    [InlineData(
        """{"agent":{"id":"a","integrationIds":[1]}}""", "metadata.agent.integrationIds[0] must be a string")]
    [InlineData(
        """{"agent":{"id":"a","capabilities":[{"name":"x"}]}}""", "metadata.agent.capabilities[0].id is required")]
    [InlineData(
        """{"agent":{"id":"a","capabilities":[{"id":"x"},{"id":"x"}]}}""",
        "metadata.agent.capabilities[1].id must not be 'x': another capability has it")]
    [InlineData(
        """{"agent":{"id":"a","capabilities":[{"id":"x","inputs":[{"name":"n"}]}]}}""",
        "metadata.agent.capabilities[0].inputs[0].type is required")]
    [InlineData(
        """{"agent":{"id":"a","capabilities":[{"id":"x","output":{"type":"array","items":{"type":1}}}]}}""",
        "metadata.agent.capabilities[0].output.items.type must be a string")]
    [InlineData(
        """{"agents":[{"id":"a","capabilities":[]},{"id":"A","capabilities":[]}]}""",
        "metadata.agents must not have the id 'A' twice")]
    [InlineData("""{"agent":{"id":"a","name":"\ud800","capabilities":[]}}""", "metadata with agents must be Unicode:")]
    public async Task Wrong_agents_are_refused_with_field_and_rule(string metadata, string error)
    {
        var framed = await RegisterAsync("wrong-agents", "n", metadata);
        Assert.False(framed.Success);
        Assert.StartsWith(error, framed.Error, StringComparison.Ordinal);
        var streamed = (await edge.Environment.CallAsync(
            new RpcRequest
            {
                RegisterImageStream = new()
                {
                    TenantId = "wrong-agents", Name = "n", Metadata = ByteString.CopyFromUtf8(metadata),
                },
            },
            new byte[] { 1 }))!.RegisterImage;
        Assert.Equal(framed.Error, streamed.Error);
        var list = await CallAsync(new RpcRequest { ListImages = new() { TenantId = "wrong-agents" } });
        Assert.Equal(0u, list.ListImages.TotalCount);
    }

    [Fact]
    public async Task Too_many_agents_are_refused_with_the_limit()
    {
        var long_ = $$$"""{"agent":{"id":"a","description":"{{{new string('d', 1 << 20)}}}","capabilities":[]}}""";
        Assert.Equal(
            $"metadata with agents must have at most 1048576 bytes, not {long_.Length}",
            (await RegisterAsync("wrong-agents", "n", long_)).Error);
        var capabilities = string.Join(',', Enumerable.Range(0, 1001).Select(n => $$"""{"id":"c{{n}}"}"""));
        Assert.Equal(
            "metadata must have at most 1000 capabilities, not 1001",
            (await RegisterAsync(
                "wrong-agents", "n", $$$"""{"agent":{"id":"a","capabilities":[{{{capabilities}}}]}}""")).Error);
    }

    [Theory]
    [InlineData("{no json")]
    [InlineData("[1]")]
    [InlineData("""{"other":{"agent":7}}""")]
    public async Task Metadata_that_describe_no_agents_are_taken_as_before(string metadata)
    {
        var tenant = edge.NewName("agents");
        await RegisteredAsync(tenant, "n", metadata);
        Assert.Empty(await IdsAsync(tenant));
    }
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteAgentTests(EdgeHost edge) : AgentContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresAgentTests(PostgresEdgeHost edge) : AgentContract(edge);
