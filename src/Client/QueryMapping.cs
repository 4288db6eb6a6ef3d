using Wire = Runtara.Protocol.Environments;

namespace Runtara.Client;

/// <summary>Wire messages of the queries to models and back, nothing else.</summary>
internal static class QueryMapping
{
    internal static Wire.ListCheckpointsRequest ToWire(this CheckpointFilter filter)
    {
        var request = new Wire.ListCheckpointsRequest
        {
            InstanceId = filter.InstanceId, Limit = filter.Limit, Offset = filter.Offset,
        };
        if (filter.CheckpointId is { } key)
            request.CheckpointId = key;
        if (filter.CreatedAfter is { } after)
            request.CreatedAfterMs = after.ToUnixTimeMilliseconds();
        if (filter.CreatedBefore is { } before)
            request.CreatedBeforeMs = before.ToUnixTimeMilliseconds();
        return request;
    }

    internal static Wire.ListEventsRequest ToWire(this EventFilter filter)
    {
        var request = new Wire.ListEventsRequest
        {
            InstanceId = filter.InstanceId, Limit = filter.Limit, Offset = filter.Offset,
        };
        if (filter.EventType is { } type)
            request.EventType = type;
        if (filter.Subtype is { } subtype)
            request.Subtype = subtype;
        if (filter.PayloadContains is { } text)
            request.PayloadContains = text;
        if (filter.CreatedAfter is { } after)
            request.CreatedAfterMs = after.ToUnixTimeMilliseconds();
        if (filter.CreatedBefore is { } before)
            request.CreatedBeforeMs = before.ToUnixTimeMilliseconds();
        return request;
    }

    internal static Wire.GetTenantMetricsRequest ToWire(this MetricsQuery query)
    {
        var request = new Wire.GetTenantMetricsRequest
        {
            TenantId = query.TenantId, Granularity = (Wire.MetricsGranularity)query.Granularity,
        };
        if (query.StartTime is { } start)
            request.StartTimeMs = start.ToUnixTimeMilliseconds();
        if (query.EndTime is { } end)
            request.EndTimeMs = end.ToUnixTimeMilliseconds();
        return request;
    }

    internal static ListCheckpointsResult ToModel(this Wire.ListCheckpointsResponse list) => new(
        [.. list.Checkpoints.Select(c => new CheckpointSummary(
            c.CheckpointId, c.InstanceId, Mapping.Time(c.CreatedAtMs), c.DataSizeBytes))],
        list.TotalCount, list.Limit, list.Offset);

    internal static Checkpoint ToModel(this Wire.GetCheckpointResponse found) => new(
        found.CheckpointId, found.InstanceId, Mapping.Time(found.CreatedAtMs), Mapping.Json(found.Data),
        found.Data.Memory);

    internal static ListEventsResult ToModel(this Wire.ListEventsResponse list) => new(
        [.. list.Events.Select(e => new InstanceEvent(
            e.Id, e.InstanceId, e.EventType, e.HasSubtype ? e.Subtype : null,
            e.HasCheckpointId ? e.CheckpointId : null, Mapping.Time(e.CreatedAtMs), Mapping.Json(e.Payload),
            e.Payload.Memory))],
        list.TotalCount, list.Limit, list.Offset);

    internal static TenantMetrics ToModel(this Wire.GetTenantMetricsResponse metrics) => new(
        metrics.TenantId, Mapping.Time(metrics.StartTimeMs), Mapping.Time(metrics.EndTimeMs),
        metrics.Granularity == Wire.MetricsGranularity.GranularityDaily
            ? MetricsGranularity.Daily : MetricsGranularity.Hourly,
        [.. metrics.Buckets.Select(ToModel)]);

    private static MetricsBucket ToModel(Wire.MetricsBucket b) => new(
        Mapping.Time(b.BucketTimeMs), b.InvocationCount, b.SuccessCount, b.FailureCount, b.CancelledCount,
        b.HasAvgDurationMs ? b.AvgDurationMs / 1000 : null,
        b.HasMinDurationMs ? b.MinDurationMs / 1000 : null,
        b.HasMaxDurationMs ? b.MaxDurationMs / 1000 : null,
        b.HasAvgMemoryBytes ? b.AvgMemoryBytes : null,
        b.HasMaxMemoryBytes ? b.MaxMemoryBytes : null,
        b.HasSuccessRatePercent ? b.SuccessRatePercent : null);
}
