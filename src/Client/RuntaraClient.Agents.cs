using System.Text.Json;
using Google.Protobuf;
using Runtara.Protocol.Environments;
using Response = Runtara.Protocol.Environments.RpcResponse.ResponseOneofCase;

namespace Runtara.Client;

public sealed partial class RuntaraClient
{
    /// <summary>Agents that images provide, by id.</summary>
    /// <param name="tenantId">Only those that this tenant can use; null for all.</param>
    /// <param name="ct">Ends the wait.</param>
    public async Task<IReadOnlyList<AgentInfo>> ListAgentsAsync(string? tenantId = null, CancellationToken ct = default)
    {
        var list = new ListAgentsRequest();
        if (tenantId is not null)
            list.TenantId = tenantId;
        var reply = await _calls.ReadAsync(new RpcRequest { ListAgents = list }, Response.ListAgents, ct);
        return AgentMapping.ToAgents(reply.ListAgents.AgentsJson);
    }

    /// <summary>The inputs of a capability; null when no agent has it.</summary>
    /// <param name="agentId">Agent, whatever the case.</param>
    /// <param name="capabilityId">Capability.</param>
    /// <param name="ct">Ends the wait.</param>
    public async Task<IReadOnlyList<CapabilityField>?> GetCapabilityAsync(
        string agentId, string capabilityId, CancellationToken ct = default)
    {
        var get = new GetCapabilityRequest { AgentId = agentId, CapabilityId = capabilityId };
        var reply = await _calls.ReadAsync(new RpcRequest { GetCapability = get }, Response.GetCapability, ct);
        return reply.GetCapability.Found ? AgentMapping.ToFields(reply.GetCapability.InputsJson) : null;
    }

    /// <summary>
    /// Runs a capability once and waits for its end, for as long as the test may take and one request more. A test that
    /// fails is a result, not an exception. Not retried.
    /// </summary>
    /// <param name="test">What to run.</param>
    /// <param name="ct">Ends the wait, and the test when the connection closes.</param>
    public async Task<CapabilityTestResult> TestCapabilityAsync(CapabilityTest test, CancellationToken ct = default)
    {
        var request = new TestCapabilityRequest
        {
            TenantId = test.TenantId,
            AgentId = test.AgentId,
            CapabilityId = test.CapabilityId,
            Input = ByteString.CopyFrom(test.Input.Span),
            TimeoutMs = (uint)Math.Ceiling(test.Timeout.TotalMilliseconds),
        };
        if (!test.Connection.IsEmpty)
            request.Connection = ByteString.CopyFrom(test.Connection.Span);
        var reply = await _calls.WriteAsync(
            new RpcRequest { TestCapability = request }, Response.TestCapability, test.Timeout, ct);
        var tested = reply.TestCapability;
        return new CapabilityTestResult(
            tested.Success,
            tested.Success ? JsonElement.Parse(tested.Output.Span) : null,
            tested.HasError ? tested.Error : null,
            tested.ExecutionTimeMs);
    }
}
