using System.Text.Json;
using System.Text.Json.Serialization;
using Google.Protobuf;

namespace Runtara.Client;

/// <summary>The JSON that the agent requests answer with; of both spellings of a key, the snake_case one.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectRequiredConstructorParameters = false)]
[JsonSerializable(typeof(IReadOnlyList<AgentInfo>))]
[JsonSerializable(typeof(IReadOnlyList<CapabilityField>))]
internal sealed partial class AgentMapping : JsonSerializerContext
{
    internal static IReadOnlyList<AgentInfo> ToAgents(ByteString json) =>
        Read(() => JsonSerializer.Deserialize(json.Span, Default.IReadOnlyListAgentInfo));

    internal static IReadOnlyList<CapabilityField> ToFields(ByteString json) =>
        Read(() => JsonSerializer.Deserialize(json.Span, Default.IReadOnlyListCapabilityField));

    private static IReadOnlyList<T> Read<T>(Func<IReadOnlyList<T>?> read)
    {
        try
        {
            return read() ?? [];
        }
        catch (JsonException wrong)
        {
            throw new RuntaraException(
                "UNEXPECTED_REPLY",
                $"The server answered with other JSON than expected: {wrong.Message}",
                "Check that client and server speak the same protocol version.",
                wrong);
        }
    }
}
