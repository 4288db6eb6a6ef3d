using System.Text.Json;

namespace Runtara.Client;

/// <summary>An agent that an image provides.</summary>
/// <param name="Id">Id; found without regard to case.</param>
/// <param name="Name">Name for people.</param>
/// <param name="Description">Text for people.</param>
/// <param name="HasSideEffects">Whether it changes anything in the world.</param>
/// <param name="SupportsConnections">Whether its capabilities take a connection.</param>
/// <param name="IntegrationIds">Kinds of connection that it takes.</param>
/// <param name="Capabilities">What it can do.</param>
public sealed record AgentInfo(
    string Id, string Name, string Description, bool HasSideEffects, bool SupportsConnections,
    IReadOnlyList<string> IntegrationIds, IReadOnlyList<CapabilityInfo> Capabilities);

/// <summary>One capability of an agent.</summary>
/// <param name="Id">Id within the agent.</param>
/// <param name="Name">Name in code.</param>
/// <param name="DisplayName">Name for people, or null.</param>
/// <param name="Description">Text for people, or null.</param>
/// <param name="HasSideEffects">Whether it changes anything in the world.</param>
/// <param name="IsIdempotent">Whether doing it twice is the same as doing it once.</param>
/// <param name="RateLimited">Whether it may have to wait for its turn.</param>
public sealed record CapabilityInfo(
    string Id, string Name, string? DisplayName, string? Description, bool HasSideEffects, bool IsIdempotent,
    bool RateLimited);

/// <summary>One input of a capability.</summary>
/// <param name="Name">Key in the input.</param>
/// <param name="FieldType">Its type: <c>string</c>, <c>integer</c>, <c>any</c> …</param>
/// <param name="Required">Whether it must be given.</param>
/// <param name="DisplayName">Name for people, or null.</param>
/// <param name="Description">Text for people, or null.</param>
/// <param name="DefaultValue">What it is when it is not given, or null.</param>
/// <param name="Example">A value to show to people, or null.</param>
public sealed record CapabilityField(
    string Name, string FieldType, bool Required, string? DisplayName, string? Description, JsonElement? DefaultValue,
    string? Example);

/// <summary>A capability to run once.</summary>
/// <param name="TenantId">On whose behalf; its agents and the system's can be tested.</param>
/// <param name="AgentId">Agent.</param>
/// <param name="CapabilityId">Capability.</param>
public sealed record CapabilityTest(string TenantId, string AgentId, string CapabilityId)
{
    /// <summary>Input as JSON in UTF-8; empty means null.</summary>
    public ReadOnlyMemory<byte> Input { get; init; }

    /// <summary>Connection as JSON in UTF-8; empty means none.</summary>
    public ReadOnlyMemory<byte> Connection { get; init; }

    /// <summary>Longest time from the request to the end, in whole milliseconds. Default 30 s.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>How a test ended.</summary>
/// <param name="Success">Whether there is a result.</param>
/// <param name="Output">The result; null without one.</param>
/// <param name="Error">Why there is none; null when there is.</param>
/// <param name="ExecutionTimeMs">Milliseconds from the launch to the end.</param>
public sealed record CapabilityTestResult(bool Success, JsonElement? Output, string? Error, ulong ExecutionTimeMs);
