using System.Text.Json;
using Runtara.Actors.Instances;

namespace Runtara.Edge.Environments;

/// <summary>
/// A value within the agents of an image and where it is, so that a wrong one is named. Keys are given in camelCase and
/// found in snake_case too; null counts as absent. Throws <see cref="FormatException"/> with field and rule.
/// </summary>
internal readonly record struct AgentField(JsonElement Value, string Path)
{
    public AgentField? Child(string key) => Child(key, JsonNamingPolicy.SnakeCaseLower.ConvertName(key));

    public AgentField? Child(string key, string otherKey)
    {
        if (Value.ValueKind != JsonValueKind.Object)
            throw new FormatException($"{Path} must be an object");
        foreach (var name in (string[])[key, otherKey])
        {
            if (Value.TryGetProperty(name, out var child) && child.ValueKind != JsonValueKind.Null)
                return new AgentField(child, $"{Path}.{name}");
        }
        return null;
    }

    public AgentField Required(string key) => Child(key) ?? throw new FormatException($"{Path}.{key} is required");

    public string? Text(string key) => Child(key)?.AsText();

    public bool? Flag(string key) => Child(key)?.AsFlag();

    /// <summary>A required id, by the rule of ids.</summary>
    public string Identifier(string key)
    {
        var field = Required(key);
        var id = field.AsText();
        return IdentifierRule.Check(field.Path, id) is { } wrong ? throw new FormatException(wrong) : id;
    }

    public string AsText() => Value.ValueKind == JsonValueKind.String
        ? Value.GetString()!
        : throw new FormatException($"{Path} must be a string");

    public string AsTextOrJson() => Value.ValueKind == JsonValueKind.String ? Value.GetString()! : Value.GetRawText();

    public void WriteTo(Utf8JsonWriter writer, string name)
    {
        writer.WritePropertyName(name);
        Value.WriteTo(writer);
    }

    /// <summary>The elements of an array.</summary>
    public IEnumerable<AgentField> Elements()
    {
        var path = Path;
        return Value.ValueKind == JsonValueKind.Array
            ? Value.EnumerateArray().Select((element, n) => new AgentField(element, $"{path}[{n}]"))
            : throw new FormatException($"{Path} must be an array");
    }

    /// <summary>The elements of an array of strings.</summary>
    public string[] Texts() => [.. Elements().Select(e => e.AsText())];

    private bool AsFlag() => Value.ValueKind is JsonValueKind.True or JsonValueKind.False
        ? Value.GetBoolean()
        : throw new FormatException($"{Path} must be true or false");
}

/// <summary>Writes a value under both spellings of its key.</summary>
internal static class BothSpellings
{
    public static void WriteTwice(this Utf8JsonWriter writer, string key, bool value)
    {
        writer.WriteBoolean(key, value);
        writer.WriteBoolean(JsonNamingPolicy.SnakeCaseLower.ConvertName(key), value);
    }

    public static void WriteTwice(this Utf8JsonWriter writer, string key, string value)
    {
        writer.WriteString(key, value);
        writer.WriteString(JsonNamingPolicy.SnakeCaseLower.ConvertName(key), value);
    }

    public static void WriteTwice(this Utf8JsonWriter writer, string key, IEnumerable<string> values)
    {
        foreach (var name in (string[])[key, JsonNamingPolicy.SnakeCaseLower.ConvertName(key)])
        {
            writer.WriteStartArray(name);
            foreach (var value in values)
                writer.WriteStringValue(value);
            writer.WriteEndArray();
        }
    }
}
