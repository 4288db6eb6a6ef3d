using Google.Protobuf;
using Runtara.Actors.Instances;
using Runtara.Persistence;
using Runtara.Protocol;
using Wire = Runtara.Protocol.Environments;

namespace Runtara.Edge.Environments;

/// <summary>
/// What an instance has done and what a tenant's instances did (environment-protocol §3.16 to §3.18). All of it is
/// read from the catalog; no actor is asked. A page that would be too large for a frame ends early, and then the limit
/// in the reply says with how many rows, so that offset plus limit is still where the next begins.
/// </summary>
public sealed class QueryRequests(Catalog catalog, EdgeOptions options, TimeProvider time)
{
    /// <summary>Checkpoints without their bytes, newest first; an unknown instance has none.</summary>
    public async ValueTask<Wire.RpcResponse> ListCheckpointsAsync(
        Wire.ListCheckpointsRequest r, CancellationToken cancellation)
    {
        var filter = new CheckpointFilter(new InstanceId(r.InstanceId))
        {
            Key = r.HasCheckpointId ? r.CheckpointId : null,
            CreatedAfter = r.HasCreatedAfterMs ? Timestamps.NearestOfUnixMs(r.CreatedAfterMs) : null,
            CreatedBefore = r.HasCreatedBeforeMs ? Timestamps.NearestOfUnixMs(r.CreatedBeforeMs) : null,
            Limit = Paging.OptionalLimit(r.HasLimit ? r.Limit : null, options.PageMax),
            Offset = Paging.Offset(r.Offset),
        };
        var (rows, total) = await catalog.ListCheckpointsAsync(filter, cancellation);
        var list = new Wire.ListCheckpointsResponse
        {
            TotalCount = (uint)total, Limit = (uint)filter.Limit, Offset = (uint)filter.Offset,
        };
        var summaries = rows.Select(c => new Wire.CheckpointSummary
        {
            CheckpointId = c.Key,
            InstanceId = r.InstanceId,
            CreatedAtMs = c.CreatedAt.ToUnixTimeMilliseconds(),
            DataSizeBytes = (ulong)c.SizeBytes,
        });
        list.Checkpoints.AddRange(Replies.Fitting(summaries, options));
        if (list.Checkpoints.Count < rows.Count)
            list.Limit = (uint)list.Checkpoints.Count;
        return new() { ListCheckpoints = list };
    }

    /// <summary>One checkpoint with its bytes.</summary>
    public async ValueTask<Wire.RpcResponse> GetCheckpointAsync(
        Wire.GetCheckpointRequest r, CancellationToken cancellation)
    {
        var reply = new Wire.GetCheckpointResponse { InstanceId = r.InstanceId, CheckpointId = r.CheckpointId };
        if (await catalog.FindCheckpointAsync(new InstanceId(r.InstanceId), r.CheckpointId, cancellation) is { } found)
        {
            reply.Found = true;
            reply.CreatedAtMs = found.CreatedAt.ToUnixTimeMilliseconds();
            reply.Data = UnsafeByteOperations.UnsafeWrap(found.State);
        }
        return new() { GetCheckpoint = reply };
    }

    /// <summary>Events, newest first; an unknown instance has none. Large payloads end a page early too.</summary>
    public async ValueTask<Wire.RpcResponse> ListEventsAsync(Wire.ListEventsRequest r, CancellationToken cancellation)
    {
        var filter = new EventFilter(new InstanceId(r.InstanceId))
        {
            Type = r.HasEventType ? r.EventType : null,
            Subtype = r.HasSubtype ? r.Subtype : null,
            CreatedAfter = r.HasCreatedAfterMs ? Timestamps.NearestOfUnixMs(r.CreatedAfterMs) : null,
            CreatedBefore = r.HasCreatedBeforeMs ? Timestamps.NearestOfUnixMs(r.CreatedBeforeMs) : null,
            PayloadContains = r.HasPayloadContains ? r.PayloadContains : null,
            Limit = Paging.OptionalLimit(r.HasLimit ? r.Limit : null, options.PageMax),
            Offset = Paging.Offset(r.Offset),
            PayloadBytesMax = options.PageBytesMax,
        };
        var page = await catalog.ListEventsAsync(filter, cancellation);
        var list = new Wire.ListEventsResponse
        {
            TotalCount = (uint)page.TotalCount,
            Limit = (uint)filter.Limit,
            Offset = (uint)filter.Offset,
        };
        list.Events.AddRange(Replies.Fitting(page.Rows.Select(e => Summary(r.InstanceId, e)), options));
        if (page.IsCut || list.Events.Count < page.Rows.Count)
            list.Limit = (uint)list.Events.Count;
        return new() { ListEvents = list };
    }

    /// <summary>
    /// Counts, durations and memory of a tenant's instances by the hour or day in which they ended. A time that no
    /// calendar has counts as absent.
    /// </summary>
    public async ValueTask<Wire.RpcResponse> GetTenantMetricsAsync(
        Wire.GetTenantMetricsRequest r, CancellationToken cancellation)
    {
        if (r.TenantId.Length == 0)
            return Invalid(ErrorCodes.GetTenantMetrics, "tenant_id is required");
        var end = (r.HasEndTimeMs ? Timestamps.FromUnixMs(r.EndTimeMs) : null) ?? time.GetUtcNow();
        var start = (r.HasStartTimeMs ? Timestamps.FromUnixMs(r.StartTimeMs) : null) ?? DayBefore(end);
        var query = new MetricsQuery(
            new TenantId(r.TenantId), start, end, r.Granularity == Wire.MetricsGranularity.GranularityDaily);
        if (query.BucketCount > options.MetricsBucketsMax)
        {
            return Invalid(ErrorCodes.GetTenantMetrics,
                $"the range has {query.BucketCount} buckets, the limit is {options.MetricsBucketsMax} "
                + "(edge.metrics-buckets-max): ask for daily buckets or a shorter range");
        }
        var reply = new Wire.GetTenantMetricsResponse
        {
            TenantId = r.TenantId,
            StartTimeMs = start.ToUnixTimeMilliseconds(),
            EndTimeMs = end.ToUnixTimeMilliseconds(),
            Granularity = query.IsDaily
                ? Wire.MetricsGranularity.GranularityDaily : Wire.MetricsGranularity.GranularityHourly,
        };
        reply.Buckets.AddRange((await catalog.ReadMetricsAsync(query, cancellation)).Select(Bucket));
        return new() { GetTenantMetrics = reply };
    }

    private static DateTimeOffset DayBefore(DateTimeOffset end) =>
        end - DateTimeOffset.MinValue < TimeSpan.FromDays(1) ? DateTimeOffset.MinValue : end.AddDays(-1);

    private static Wire.RpcResponse Invalid(string code, string message) =>
        EnvironmentRequests.Error(code, $"Invalid request: {message}");

    private static Wire.EventSummary Summary(string instance, EventRow row)
    {
        var summary = new Wire.EventSummary
        {
            Id = row.Id,
            InstanceId = instance,
            EventType = row.Type,
            CreatedAtMs = row.CreatedAt.ToUnixTimeMilliseconds(),
        };
        if (row.Subtype is not null)
            summary.Subtype = row.Subtype;
        if (row.CheckpointId is not null)
            summary.CheckpointId = row.CheckpointId;
        if (row.Payload is { } payload)
            summary.Payload = UnsafeByteOperations.UnsafeWrap(payload);
        return summary;
    }

    private static Wire.MetricsBucket Bucket(MetricsBucketRow row)
    {
        var ended = row.Completed + row.Failed + row.Cancelled;
        var bucket = new Wire.MetricsBucket
        {
            BucketTimeMs = row.At.ToUnixTimeMilliseconds(),
            InvocationCount = ended,
            SuccessCount = row.Completed,
            FailureCount = row.Failed,
            CancelledCount = row.Cancelled,
        };
        if (row.DurationMean is { } mean)
            bucket.AvgDurationMs = mean.TotalMilliseconds;
        if (row.DurationMin is { } min)
            bucket.MinDurationMs = min.TotalMilliseconds;
        if (row.DurationMax is { } max)
            bucket.MaxDurationMs = max.TotalMilliseconds;
        if (row.MemoryMeanBytes is { } memory)
            bucket.AvgMemoryBytes = memory;
        if (row.MemoryMaxBytes is { } peak)
            bucket.MaxMemoryBytes = peak;
        if (ended > 0)
            bucket.SuccessRatePercent = row.Completed * 100.0 / ended;
        return bucket;
    }
}
