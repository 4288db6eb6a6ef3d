using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Files;

/// <summary>
/// Reads <c>output.json</c> (environment protocol §4.3). What is no text in it, bytes that are no UTF-8 and halves of
/// surrogate pairs, becomes U+FFFD: a program that cut a text in two has done its work all the same.
/// </summary>
internal static class OutputFile
{
    // The time to parse grows with the square of the depth.
    private const int DepthMax = 1024;

    // "\u" and four digits.
    private const int EscapeLength = 6;

    /// <summary>The output, or what is wrong with the bytes.</summary>
    internal static (RunOutput? Output, string? Problem) Parse(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            using var document = JsonDocument.Parse(AsText(bytes), new JsonDocumentOptions { MaxDepth = DepthMax });
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
        MaxDepth = DepthMax,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static ReadOnlyMemory<byte> AsText(ReadOnlyMemory<byte> bytes)
    {
        if (!Utf8.IsValid(bytes.Span))
            bytes = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(bytes.Span));
        byte[]? changed = null;
        for (var at = 0; at < bytes.Length;)
        {
            var rest = bytes.Span[at..];
            var escape = rest.IndexOf((byte)'\\');
            if (escape < 0)
                break;
            at += escape;
            rest = rest[escape..];
            if (!IsSurrogate(rest))
                at += 2;
            else if (IsSurrogate(rest, low: false) && rest.Length > EscapeLength
                && IsSurrogate(rest[EscapeLength..], low: true))
                at += 2 * EscapeLength;
            else
            {
                changed ??= bytes.ToArray();
                "\\ufffd"u8.CopyTo(changed.AsSpan(at));
                at += EscapeLength;
            }
        }
        return changed ?? bytes;
    }

    /// <summary>Whether it begins with the escape of half a character; of which half, unless null.</summary>
    private static bool IsSurrogate(ReadOnlySpan<byte> text, bool? low = null) =>
        text.StartsWith("\\u"u8) && text.Length >= EscapeLength
        && ushort.TryParse(
            text[2..EscapeLength], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var unit)
        && char.IsSurrogate((char)unit) && (low is null || char.IsLowSurrogate((char)unit) == low);

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
