using System.Buffers;
using System.Text.Json;
using Google.Protobuf;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Persistence;
using Runtara.Protocol;
using Wire = Runtara.Protocol.Environments;

namespace Runtara.Edge.Environments;

/// <summary>
/// The agent requests of the environment protocol (§3.14, §3.15): agents are what images say of themselves, and a
/// capability is tested by running the image that provides it.
/// </summary>
internal sealed class AgentRequests(AgentImages images, ICapabilityRunner runner, EdgeOptions options)
{
    private const string HarnessName = "test-harness";
    private const uint TimeoutMsDefault = 30_000;
    private static readonly ByteString Null = ByteString.CopyFromUtf8("null");

    private readonly AgentIndex _index = new(images);

    /// <summary>The agents that the tenant sees; without a tenant, all.</summary>
    public async ValueTask<Wire.RpcResponse> ListAsync(Wire.ListAgentsRequest r, CancellationToken cancellation)
    {
        var agents = await _index.ListAsync(r.HasTenantId ? new TenantId(r.TenantId) : null, cancellation);
        var bytes = agents.Sum(a => a.Agent.Json.Length + 1L) + 1;
        if (bytes > options.Frames.PayloadBytesMax - Replies.Reserve)
        {
            return EnvironmentRequests.Error(
                ErrorCodes.ListAgents,
                $"Invalid request: the list has {bytes} bytes, more than a frame may have (edge.frame-bytes-max)");
        }
        var json = new ArrayBufferWriter<byte>((int)bytes + 1);
        json.Write("["u8);
        foreach (var (agent, _) in agents)
        {
            if (json.WrittenCount > 1)
                json.Write(","u8);
            json.Write(agent.Json);
        }
        json.Write("]"u8);
        return new() { ListAgents = new() { AgentsJson = UnsafeByteOperations.UnsafeWrap(json.WrittenMemory) } };
    }

    /// <summary>The inputs of a capability; the request has no tenant, so of anybody's.</summary>
    public async ValueTask<Wire.RpcResponse> GetAsync(Wire.GetCapabilityRequest r, CancellationToken cancellation)
    {
        var found = await _index.FindAsync(null, r.AgentId, cancellation);
        return found is { } entry && entry.Agent.Inputs.TryGetValue(r.CapabilityId, out var inputs)
            ? new() { GetCapability = new() { Found = true, InputsJson = UnsafeByteOperations.UnsafeWrap(inputs) } }
            : new() { GetCapability = new() };
    }

    /// <summary>Runs a capability once. Whatever goes wrong is in the reply's error text.</summary>
    public async ValueTask<Wire.RpcResponse> TestAsync(Wire.TestCapabilityRequest r, CancellationToken cancellation)
    {
        if (Check(r) is { } wrong)
            return Failed(wrong, TimeSpan.Zero);
        var (image, agentId, missing) = await FindProviderAsync(r, cancellation);
        if (image is null)
            return Failed($"Test harness not available: {missing}", TimeSpan.Zero);
        var timeout = TimeSpan.FromMilliseconds(r.HasTimeoutMs ? r.TimeoutMs : TimeoutMsDefault);
        var outcome = await runner.RunAsync(
            new CapabilityTest(new TenantId(r.TenantId), image.Id, image.Sha256, Input(r, agentId), timeout),
            cancellation);
        return outcome switch
        {
            CapabilityOutcome.Exited exited => Ended(exited, timeout),
            CapabilityOutcome.NotStarted refused => Failed($"Execution failed: {refused.Error}", TimeSpan.Zero),
            _ => Failed(
                $"Execution failed: no container was free within {timeout.TotalMilliseconds:0} ms (runner.capacity)",
                TimeSpan.Zero),
        };
    }

    private string? Check(Wire.TestCapabilityRequest r)
    {
        var bytes = r.Input.Length + r.Connection.Length;
        if (IdentifierRule.Check("tenant_id", r.TenantId) is { } wrong)
            return wrong;
        if (r.AgentId.Length == 0)
            return "agent_id is required";
        if (r.CapabilityId.Length == 0)
            return "capability_id is required";
        if (bytes > options.InputBytesMax)
            return $"input and connection have {bytes} bytes, the limit is {options.InputBytesMax} "
                + "(edge.input-bytes-max)";
        var longest = options.CapabilityTimeoutMax.TotalMilliseconds;
        if (r.HasTimeoutMs && (r.TimeoutMs == 0 || r.TimeoutMs > longest))
            return $"timeout_ms must be from 1 to {longest:0} (edge.capability-timeout-max), not {r.TimeoutMs}";
        return null;
    }

    private async ValueTask<(AgentImage? Image, string AgentId, string Missing)> FindProviderAsync(
        Wire.TestCapabilityRequest r, CancellationToken cancellation)
    {
        if (await _index.FindAsync(new TenantId(r.TenantId), r.AgentId, cancellation) is { } provided)
        {
            var (agent, image) = provided;
            if (!agent.Inputs.ContainsKey(r.CapabilityId))
                return (null, "", $"agent '{agent.Id}' has no capability '{r.CapabilityId}'");
            return image.RunnerType == RunnerType.Oci
                ? (image, agent.Id, "")
                : (null, "", $"image '{image.Name}', which provides agent '{agent.Id}', has no bundle");
        }
        return await images.FindByNameAsync(AgentIndex.System, HarnessName, cancellation) switch
        {
            { RunnerType: RunnerType.Oci } harness => (harness, r.AgentId, ""),
            not null => (null, "", $"image '{HarnessName}' of tenant '{AgentIndex.System}' has no bundle"),
            null => (null, "", $"no image provides agent '{r.AgentId}', and tenant '{AgentIndex.System}' has no image "
                + $"'{HarnessName}'"),
        };
    }

    /// <summary>The <c>input.json</c> of a test; what is not JSON is null, as in the reference.</summary>
    private static ReadOnlyMemory<byte> Input(Wire.TestCapabilityRequest r, string agentId)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(bytes);
        writer.WriteStartObject();
        writer.WriteString("agent_id", agentId);
        writer.WriteString("capability_id", r.CapabilityId);
        foreach (var (name, value) in new[] { ("input", r.Input), ("connection", r.Connection) })
        {
            writer.WritePropertyName(name);
            writer.WriteRawValue(ImageRequests.IsJson(value.Span) ? value.Span : "null"u8, skipInputValidation: true);
        }
        writer.WriteEndObject();
        writer.Flush();
        return bytes.WrittenMemory;
    }

    // A result that was written counts, whatever came of the process; as everywhere.
    private static Wire.RpcResponse Ended(CapabilityOutcome.Exited exited, TimeSpan timeout) => exited switch
    {
        { TimedOut: true, Report.Output: not { Status: RunOutputStatus.Completed } } =>
            Failed($"Execution timeout after {timeout.TotalMilliseconds:0} ms{Tail(exited.Report)}", exited.Took),
        { Report.Output: null } => Failed($"Execution failed: {Describe(exited.Report)}", exited.Took),
        { Report.Output: { Status: RunOutputStatus.Completed } output } => new()
        {
            TestCapability = new()
            {
                Success = true,
                Output = output.Result.IsEmpty ? Null : UnsafeByteOperations.UnsafeWrap(output.Result),
                ExecutionTimeMs = (ulong)exited.Took.TotalMilliseconds,
            },
        },
        { Report.Output: { Status: RunOutputStatus.Failed } output } =>
            Failed(output.Error ?? "Capability execution failed", exited.Took),
        { Report.Output.Status: var status } =>
            Failed($"Unexpected status: {status.ToString().ToLowerInvariant()}", exited.Took),
    };

    private static string Describe(ExitReport report)
    {
        var ending = report switch
        {
            { OutOfMemory: true } => "out of memory",
            { Signal: { } signal } => $"signal {signal}",
            { ExitCode: 0 } => "exit code 0 without an output.json that can be read",
            _ => $"exit code {report.ExitCode}",
        };
        return ending + Tail(report);
    }

    private static string Tail(ExitReport report) =>
        report.StderrTail.Trim() is { Length: > 0 } tail ? $"\nstderr: {tail}" : "";

    private static Wire.RpcResponse Failed(string error, TimeSpan took) =>
        new() { TestCapability = new() { Error = error, ExecutionTimeMs = (ulong)took.TotalMilliseconds } };
}
