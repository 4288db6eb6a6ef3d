using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Runtara.Client;

namespace Runtara.Cli;

/// <summary>The JSON that programs read: snake_case, null for nothing, times in RFC 3339 UTC with Z
/// (environment-protocol §10.3).</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    WriteIndented = true,
    Converters =
    [
        typeof(StatusConverter), typeof(RunnerConverter), typeof(GranularityConverter), typeof(TimeConverter),
    ])]
[JsonSerializable(typeof(HealthStatus))]
[JsonSerializable(typeof(ImageSummary))]
[JsonSerializable(typeof(ListImagesResult))]
[JsonSerializable(typeof(InstanceInfo))]
[JsonSerializable(typeof(ListInstancesResult))]
[JsonSerializable(typeof(ListCheckpointsResult))]
[JsonSerializable(typeof(Checkpoint))]
[JsonSerializable(typeof(ListEventsResult))]
[JsonSerializable(typeof(TenantMetrics))]
[JsonSerializable(typeof(IReadOnlyList<AgentInfo>))]
[JsonSerializable(typeof(IReadOnlyList<CapabilityField>))]
[JsonSerializable(typeof(CapabilityTestResult))]
[JsonSerializable(typeof(Done))]
[JsonSerializable(typeof(Failure))]
internal sealed partial class Json : JsonSerializerContext
{
    /// <summary>Text as it is: the output is a terminal or a file, never a web page.</summary>
    internal static Json Readable => field ??= new Json(new JsonSerializerOptions(Default.Options)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}

/// <summary>What a command that returns only an id prints.</summary>
internal sealed record Done
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ImageId { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? InstanceId { get; init; }
}

/// <summary>What a command that failed prints on standard error.</summary>
internal sealed record Failure(string Code, string Error, string? Remedy);

internal sealed class StatusConverter() : JsonStringEnumConverter<InstanceStatus>(JsonNamingPolicy.SnakeCaseLower);

internal sealed class RunnerConverter() : JsonStringEnumConverter<RunnerType>(JsonNamingPolicy.SnakeCaseLower);

internal sealed class GranularityConverter()
    : JsonStringEnumConverter<MetricsGranularity>(JsonNamingPolicy.SnakeCaseLower);

internal sealed class TimeConverter : JsonConverter<DateTimeOffset>
{
    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
        reader.GetDateTimeOffset();

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options)
    {
        var text = value.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFF'Z'", CultureInfo.InvariantCulture);
        writer.WriteStringValue(text);
    }
}
