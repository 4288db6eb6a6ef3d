using System.Text.Json;

namespace Runtara.Protocol.Tests;

/// <summary>The messages and bytes of Runtara 1.4.1 in <c>shared/vectors/wire-vectors.json</c>.</summary>
internal static class WireVectors
{
    internal static IReadOnlyList<WireVector> All { get; } = Load();

    private static List<WireVector> Load()
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Locate()));
        return [.. document.RootElement.GetProperty("vectors").EnumerateArray().Select(v => new WireVector(
            v.GetProperty("message").GetString()!,
            v.GetProperty("arm").GetString() ?? "none",
            v.GetProperty("variant").GetString()!,
            v.GetProperty("json").GetRawText(),
            v.GetProperty("frame_hex").GetString()!))];
    }

    private static string Locate()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "shared", "vectors", "wire-vectors.json");
            if (File.Exists(candidate))
                return candidate;
        }

        throw new FileNotFoundException(
            $"No shared/vectors/wire-vectors.json in or beside any folder above {AppContext.BaseDirectory}.");
    }
}

internal sealed record WireVector(string Message, string Arm, string Variant, string Json, string FrameHex)
{
    public override string ToString() => $"{Message} {Arm} {Variant}";
}
