using System.Text.Json;
using Google.Protobuf;
using Wire = Runtara.Protocol.Environments;

namespace Runtara.Client;

/// <summary>Wire messages to models and back, nothing else.</summary>
internal static class Mapping
{
    internal static HealthStatus ToModel(this Wire.HealthCheckResponse health) =>
        new(health.Healthy, health.Version, health.UptimeMs, health.ActiveInstances);

    internal static ImageSummary ToModel(this Wire.ImageSummary image) => new(
        image.ImageId,
        image.TenantId,
        image.Name,
        image.HasDescription ? image.Description : null,
        (RunnerType)image.RunnerType,
        Time(image.CreatedAtMs));

    internal static InstanceInfo ToModel(this Wire.GetInstanceStatusResponse status) => new()
    {
        InstanceId = status.InstanceId,
        ImageId = status.ImageId,
        ImageName = status.ImageName,
        TenantId = status.TenantId,
        Status = ToModel(status.Status),
        CheckpointId = status.HasCheckpointId ? status.CheckpointId : null,
        CreatedAt = Time(status.CreatedAtMs),
        StartedAt = status.HasStartedAtMs ? Time(status.StartedAtMs) : null,
        FinishedAt = status.HasFinishedAtMs ? Time(status.FinishedAtMs) : null,
        HeartbeatAt = status.HasHeartbeatAtMs ? Time(status.HeartbeatAtMs) : null,
        Input = status.HasInput ? Json(status.Input) : null,
        Output = status.HasOutput ? Json(status.Output) : null,
        Error = status.HasError ? status.Error : null,
        Stderr = status.HasStderr ? status.Stderr : null,
        RetryCount = status.RetryCount,
        MaxRetries = status.MaxRetries,
        MemoryPeakBytes = status.HasMemoryPeakBytes ? status.MemoryPeakBytes : null,
        CpuUsageUsec = status.HasCpuUsageUsec ? status.CpuUsageUsec : null,
    };

    internal static InstanceSummary ToModel(this Wire.InstanceSummary instance) => new(
        instance.InstanceId,
        instance.TenantId,
        instance.ImageId,
        ToModel(instance.Status),
        Time(instance.CreatedAtMs),
        instance.HasStartedAtMs ? Time(instance.StartedAtMs) : null,
        instance.HasFinishedAtMs ? Time(instance.FinishedAtMs) : null,
        instance.HasError);

    internal static Wire.StartInstanceRequest ToWire(this InstanceStart start)
    {
        var request = new Wire.StartInstanceRequest
        {
            ImageId = start.ImageId,
            TenantId = start.TenantId,
            Input = ByteString.CopyFrom(start.Input.Span),
        };
        if (start.InstanceId is { Length: > 0 } id)
            request.InstanceId = id;
        if (start.Timeout is { } timeout)
            request.TimeoutSeconds = (uint)Math.Ceiling(timeout.TotalSeconds);
        foreach (var (name, value) in start.Environment)
            request.Env.Add(name, value);
        return request;
    }

    internal static Wire.ListInstancesRequest ToWire(this InstanceFilter filter)
    {
        var request = new Wire.ListInstancesRequest { Limit = filter.Limit, Offset = filter.Offset };
        if (filter.TenantId is { } tenant)
            request.TenantId = tenant;
        if (filter.Status is { } status)
            request.Status = (Wire.InstanceStatus)status;
        if (filter.ImageId is { } image)
            request.ImageId = image;
        if (filter.ImageNamePrefix is { } prefix)
            request.ImageNamePrefix = prefix;
        if (filter.CreatedAfter is { } after)
            request.CreatedAfterMs = after.ToUnixTimeMilliseconds();
        if (filter.CreatedBefore is { } before)
            request.CreatedBeforeMs = before.ToUnixTimeMilliseconds();
        return request;
    }

    private static InstanceStatus ToModel(Wire.InstanceStatus status) =>
        Enum.IsDefined((InstanceStatus)status) ? (InstanceStatus)status : InstanceStatus.Unknown;

    internal static DateTimeOffset Time(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    internal static JsonElement? Json(ByteString bytes)
    {
        var reader = new Utf8JsonReader(bytes.Span);
        try
        {
            var value = JsonElement.ParseValue(ref reader);
            // Anything after the value is no JSON either, and throws.
            reader.Read();
            return value;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
