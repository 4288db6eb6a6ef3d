using System.Collections.Immutable;
using System.Text.Json;

namespace Runtara.Actors.Images;

/// <summary>
/// What an image runs, from its metadata: <c>entrypoint</c>, <c>args</c>, <c>env</c> and <c>cwd</c> of a JSON object;
/// other members mean nothing here.
/// </summary>
/// <param name="Command">The path of the program within the root file system, then its arguments.</param>
/// <param name="Environment">Variables; those of an instance with the same name win.</param>
/// <param name="WorkingDirectory">An absolute path within the root file system.</param>
public sealed record ImageProgram(
    IReadOnlyList<string> Command, IReadOnlyDictionary<string, string> Environment, string WorkingDirectory)
{
    /// <summary>The program of an image that names none; a static executable always has this path.</summary>
    public const string DefaultPath = "/binary";

    /// <summary>The most characters that the entry point, arguments and variables of a program have.</summary>
    public const int CharactersMax = 65_536;

    /// <summary>What an image without metadata runs.</summary>
    public static readonly ImageProgram Default = new([DefaultPath], ImmutableDictionary<string, string>.Empty, "/");

    /// <summary>Reads metadata; what is no JSON object says nothing.</summary>
    /// <returns>The program and null, or the default and which member breaks which rule.</returns>
    public static (ImageProgram Program, string? Problem) Read(ReadOnlyMemory<byte> metadata)
    {
        try
        {
            using var json = JsonDocument.Parse(metadata, new JsonDocumentOptions { MaxDepth = 256 });
            if (json.RootElement.ValueKind != JsonValueKind.Object)
                return (Default, null);
            return Read(json.RootElement);
        }
        catch (JsonException)
        {
            return (Default, null);
        }
        catch (FormatException e)
        {
            return (Default, e.Message);
        }
        catch (InvalidOperationException)
        {
            return (Default, "metadata has an escaped character that is half of a pair");
        }
    }

    private static (ImageProgram Program, string? Problem) Read(JsonElement metadata)
    {
        var program = Entrypoint(metadata);
        var arguments = Texts(metadata, "args") ?? [];
        var environment = Variables(metadata);
        var directory = Text(metadata, "cwd") ?? "/";
        if (!IsAbsolute(program[0]))
            throw new FormatException("metadata.entrypoint must begin with an absolute path that has no '..'");
        if (!IsAbsolute(directory))
            throw new FormatException("metadata.cwd must be an absolute path that has no '..'");
        var characters = program.Concat(arguments).Sum(a => a.Length)
            + environment.Sum(v => v.Key.Length + v.Value.Length);
        if (characters > CharactersMax)
        {
            throw new FormatException(
                $"metadata.entrypoint, args and env have {characters} characters, the limit is {CharactersMax}");
        }
        return (new ImageProgram([.. program, .. arguments], environment, directory), null);
    }

    private static IReadOnlyList<string> Entrypoint(JsonElement metadata)
    {
        if (!metadata.TryGetProperty("entrypoint", out var value) || value.ValueKind == JsonValueKind.Null)
            return [DefaultPath];
        if (value.ValueKind == JsonValueKind.String)
            return [Clean("entrypoint", value.GetString()!)];
        var texts = Texts(metadata, "entrypoint")!;
        return texts.Count > 0 ? texts : throw new FormatException("metadata.entrypoint must not be empty");
    }

    private static List<string>? Texts(JsonElement metadata, string name)
    {
        if (!metadata.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind != JsonValueKind.Array
            || value.EnumerateArray().Any(e => e.ValueKind != JsonValueKind.String))
            throw new FormatException($"metadata.{name} must be a list of texts");
        return value.EnumerateArray().Select(e => Clean(name, e.GetString()!)).ToList();
    }

    private static string? Text(JsonElement metadata, string name)
    {
        if (!metadata.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        return value.ValueKind == JsonValueKind.String
            ? Clean(name, value.GetString()!)
            : throw new FormatException($"metadata.{name} must be a text");
    }

    private static ImmutableSortedDictionary<string, string> Variables(JsonElement metadata)
    {
        var variables = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        if (!metadata.TryGetProperty("env", out var value) || value.ValueKind == JsonValueKind.Null)
            return variables.ToImmutable();
        if (value.ValueKind != JsonValueKind.Object
            || value.EnumerateObject().Any(v => v.Value.ValueKind != JsonValueKind.String))
            throw new FormatException("metadata.env must be an object whose values are texts");
        foreach (var variable in value.EnumerateObject())
        {
            if (variable.Name.Length == 0 || variable.Name.Contains('='))
            {
                throw new FormatException(
                    $"metadata.env has the name '{variable.Name}': a name is not empty and has no '='");
            }
            variables[Clean("env", variable.Name)] = Clean("env", variable.Value.GetString()!);
        }
        return variables.ToImmutable();
    }

    private static string Clean(string name, string text) =>
        text.Contains('\0') ? throw new FormatException($"metadata.{name} must not contain a NUL") : text;

    private static bool IsAbsolute(string path) => path.StartsWith('/') && !path.Split('/').Contains("..");
}
