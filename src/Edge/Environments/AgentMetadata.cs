using System.Collections.Frozen;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Runtara.Edge.Environments;

/// <summary>An agent as clients get it.</summary>
/// <param name="Id">As its image spells it; it is found without regard to case.</param>
/// <param name="Json">Its AgentInfo, in UTF-8.</param>
/// <param name="Inputs">The CapabilityField array of each capability, in UTF-8, by the capability's id.</param>
internal sealed record Agent(string Id, byte[] Json, FrozenDictionary<string, byte[]> Inputs)
{
    /// <summary>What keeping it costs, in bytes.</summary>
    public int Bytes => Json.Length + Inputs.Values.Sum(i => i.Length);
}

/// <summary>
/// The agents that the metadata of an image describe: below <c>agent</c> one, below <c>agents</c> any number, in the
/// shape of instance-protocol §7.1. Either spelling of a key is read, and both are written, because the reference's
/// server writes one and its SDK reads the other (environment-protocol §10.4).
/// </summary>
internal static class AgentMetadata
{
    /// <summary>The most that metadata with agents may have, in bytes.</summary>
    public const int BytesMax = 1 << 20;

    /// <summary>The most capabilities of one image: a short one becomes much longer on its way out.</summary>
    public const int CapabilitiesMax = 1000;

    private static readonly JsonWriterOptions Compact = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>
    /// The agents, or what is wrong with them, naming field and rule. What is not JSON has none, as everywhere.
    /// </summary>
    public static (IReadOnlyList<Agent> Agents, string? Error) Read(ReadOnlyMemory<byte> metadata)
    {
        if (metadata.IsEmpty)
            return ([], null);
        try
        {
            using var document = JsonDocument.Parse(metadata, new JsonDocumentOptions { MaxDepth = 256 });
            return (Read(document.RootElement, metadata.Length), null);
        }
        catch (JsonException)
        {
            return ([], null);
        }
        catch (FormatException e)
        {
            return ([], e.Message);
        }
        catch (InvalidOperationException e)
        {
            // Half a surrogate pair parses, but is no text.
            return ([], $"metadata with agents must be Unicode: {e.Message}");
        }
    }

    private static List<Agent> Read(JsonElement root, int bytes)
    {
        var agents = new List<Agent>();
        if (root.ValueKind != JsonValueKind.Object)
            return agents;
        var one = root.TryGetProperty("agent", out var single);
        var many = root.TryGetProperty("agents", out var array);
        if (one && many)
            throw new FormatException("metadata must have agent or agents, not both");
        if (!one && !many)
            return agents;
        if (bytes > BytesMax)
            throw new FormatException($"metadata with agents must have at most {BytesMax} bytes, not {bytes}");
        if (one)
            agents.Add(ReadAgent(new AgentField(single, "metadata.agent")));
        foreach (var agent in many ? new AgentField(array, "metadata.agents").Elements() : [])
            agents.Add(ReadAgent(agent));
        if (Twice(agents.Select(a => a.Id), StringComparer.OrdinalIgnoreCase) is { } id)
            throw new FormatException($"metadata.agents must not have the id '{id}' twice");
        var capabilities = agents.Sum(a => a.Inputs.Count);
        if (capabilities > CapabilitiesMax)
            throw new FormatException($"metadata must have at most {CapabilitiesMax} capabilities, not {capabilities}");
        return agents;
    }

    private static Agent ReadAgent(AgentField agent)
    {
        var inputs = new Dictionary<string, byte[]>();
        var id = agent.Identifier("id");
        var json = Write(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("id", id);
            writer.WriteString("name", agent.Text("name") ?? id);
            writer.WriteString("description", agent.Text("description") ?? "");
            writer.WriteTwice("hasSideEffects", agent.Flag("hasSideEffects") ?? false);
            writer.WriteTwice("supportsConnections", agent.Flag("supportsConnections") ?? false);
            var integrations = agent.Child("integrationIds")?.Texts() ?? [];
            writer.WriteTwice("integrationIds", integrations);
            writer.WriteStartArray("capabilities");
            foreach (var capability in agent.Required("capabilities").Elements())
                WriteCapability(writer, capability, inputs);
            writer.WriteEndArray();
            writer.WriteEndObject();
        });
        return new Agent(id, json, inputs.ToFrozenDictionary());
    }

    private static void WriteCapability(
        Utf8JsonWriter writer, AgentField capability, Dictionary<string, byte[]> inputs)
    {
        var id = capability.Identifier("id");
        var fields = Write(w => WriteArray(w, capability.Child("inputs")?.Elements() ?? [], WriteInput));
        if (!inputs.TryAdd(id, fields))
            throw new FormatException($"{capability.Path}.id must not be '{id}': another capability has it");
        var sideEffects = capability.Flag("hasSideEffects") ?? false;
        writer.WriteStartObject();
        writer.WriteString("id", id);
        writer.WriteString("name", capability.Text("name") ?? id.Replace('-', '_'));
        WriteTexts(writer, capability);
        writer.WriteTwice("inputType", capability.Text("inputType") ?? "");
        writer.WritePropertyName("inputs");
        writer.WriteRawValue(fields, skipInputValidation: true);
        writer.WritePropertyName("output");
        if (capability.Child("output") is { } output)
            WriteType(writer, output);
        else
            writer.WriteRawValue("""{"type":"any","field_type":"any"}""");
        writer.WriteTwice("hasSideEffects", sideEffects);
        writer.WriteTwice("isIdempotent", capability.Flag("isIdempotent") ?? !sideEffects);
        writer.WriteTwice("rateLimited", capability.Flag("rateLimited") ?? false);
        writer.WriteEndObject();
    }

    private static void WriteInput(Utf8JsonWriter writer, AgentField field)
    {
        writer.WriteStartObject();
        writer.WriteString("name", field.Required("name").AsText());
        WriteTexts(writer, field);
        WriteTypeName(writer, field);
        if (field.Child("items") is { } items)
        {
            writer.WritePropertyName("items");
            WriteType(writer, items);
        }
        writer.WriteBoolean("required", field.Flag("required") ?? false);
        if (field.Child("default", "default_value") is { } value)
        {
            value.WriteTo(writer, "default");
            value.WriteTo(writer, "default_value");
        }
        WriteExample(writer, field);
        if (field.Child("enum") is { } choices)
        {
            writer.WritePropertyName("enum");
            WriteArray(writer, choices.Texts(), static (w, text) => w.WriteStringValue(text));
        }
        writer.WriteEndObject();
    }

    // FieldTypeInfo and, with a name and an example, OutputField.
    private static void WriteType(Utf8JsonWriter writer, AgentField type)
    {
        writer.WriteStartObject();
        if (type.Text("name") is { } name)
            writer.WriteString("name", name);
        WriteTexts(writer, type);
        WriteTypeName(writer, type);
        WriteExample(writer, type);
        if (type.Child("fields") is { } fields)
        {
            writer.WritePropertyName("fields");
            WriteArray(writer, fields.Elements(), WriteType);
        }
        if (type.Child("items") is { } items)
        {
            writer.WritePropertyName("items");
            WriteType(writer, items);
        }
        if (type.Flag("nullable") == true)
            writer.WriteBoolean("nullable", true);
        writer.WriteEndObject();
    }

    private static void WriteTypeName(Utf8JsonWriter writer, AgentField field)
    {
        var type = (field.Child("type", "field_type") ?? field.Required("type")).AsText();
        writer.WriteString("type", type);
        writer.WriteString("field_type", type);
        if (field.Text("format") is { } format)
            writer.WriteString("format", format);
    }

    private static void WriteTexts(Utf8JsonWriter writer, AgentField field)
    {
        if (field.Text("displayName") is { } display)
            writer.WriteTwice("displayName", display);
        if (field.Text("description") is { } description)
            writer.WriteString("description", description);
    }

    // Always a string on the wire; any other value becomes its JSON text.
    private static void WriteExample(Utf8JsonWriter writer, AgentField field)
    {
        if (field.Child("example") is { } example)
            writer.WriteString("example", example.AsTextOrJson());
    }

    private static void WriteArray<T>(Utf8JsonWriter writer, IEnumerable<T> values, Action<Utf8JsonWriter, T> write)
    {
        writer.WriteStartArray();
        foreach (var value in values)
            write(writer, value);
        writer.WriteEndArray();
    }

    private static byte[] Write(Action<Utf8JsonWriter> write)
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes, Compact))
            write(writer);
        return bytes.ToArray();
    }

    private static string? Twice(IEnumerable<string> ids, StringComparer comparer)
    {
        var seen = new HashSet<string>(comparer);
        return ids.FirstOrDefault(id => !seen.Add(id));
    }
}
