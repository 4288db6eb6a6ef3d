using System.Text.Json;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Files;

/// <summary>Reads <c>output.json</c> (environment protocol §4.3).</summary>
internal static class OutputFile
{
    /// <summary>The output, or what is wrong with the bytes.</summary>
    internal static (RunOutput? Output, string? Problem) Parse(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            using var document = JsonDocument.Parse(bytes);
            return Parse(document.RootElement);
        }
        catch (JsonException e)
        {
            return (null, $"output.json is not JSON: {e.Message}");
        }
    }

    private static (RunOutput?, string?) Parse(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object)
            return (null, "output.json is not a JSON object");
        if (Text(root, "status") is not { } word)
            return (null, "output.json has no status");
        RunOutputStatus? status = word switch
        {
            "completed" => RunOutputStatus.Completed,
            "failed" => RunOutputStatus.Failed,
            "suspended" => RunOutputStatus.Suspended,
            "sleeping" => RunOutputStatus.Sleeping,
            "cancelled" => RunOutputStatus.Cancelled,
            _ => null,
        };
        if (status is null)
            return (null, "output.json has an unknown status");
        var output = new RunOutput(
            status.Value, Result(root), Text(root, "error"), Text(root, "checkpoint_id"), WakeAfter(root));
        return (output, null);
    }

    private static ReadOnlyMemory<byte> Result(JsonElement root)
    {
        if (!root.TryGetProperty("result", out var result) || result.ValueKind == JsonValueKind.Null)
            return default;
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes, Compact))
            result.WriteTo(writer);
        return bytes.ToArray();
    }

    // Written as it was meant: the reference escapes nothing that JSON lets stand either.
    private static readonly JsonWriterOptions Compact = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static string? Text(JsonElement root, string key) =>
        root.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static TimeSpan? WakeAfter(JsonElement root)
    {
        if (!root.TryGetProperty("wake_after_ms", out var value) || value.ValueKind != JsonValueKind.Number
            || !value.TryGetUInt64(out var milliseconds))
            return null;
        var most = (ulong)TimeSpan.MaxValue.TotalMilliseconds - 1;
        return TimeSpan.FromMilliseconds(Math.Min(milliseconds, most));
    }
}
