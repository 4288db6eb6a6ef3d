using Google.Protobuf;
using Runtara.Edge.Tests.Harness;
using Runtara.Persistence;
using Runtara.Protocol.Environments;
using EventType = Runtara.Protocol.Instances.InstanceEventType;

namespace Runtara.Edge.Tests.Environments;

/// <summary>Lists of checkpoints and events, metrics, and the count of a health check, on both databases.</summary>
public abstract class QueryContract(EdgeHost edge)
{
    private const string Unknown = "no-such-instance";

    [Fact]
    public async Task Checkpoints_are_listed_newest_first_with_sizes_and_without_bytes()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        foreach (var (key, state) in new[] { ("a", "1"), ("b", "22"), ("c", "") })
            await workflow.SaveAsync(key, state);
        var list = await CheckpointsAsync(new() { InstanceId = workflow.Id });
        Assert.Equal([("c", 0ul), ("b", 2ul), ("a", 1ul)], list.Checkpoints.Select(c => (
            c.CheckpointId, c.DataSizeBytes)));
        Assert.Equal((3u, 100u, 0u), (list.TotalCount, list.Limit, list.Offset));
        Assert.All(list.Checkpoints, c => Assert.Equal(workflow.Id, c.InstanceId));
        var oldest = list.Checkpoints[2].CreatedAtMs;
        var newest = list.Checkpoints[0].CreatedAtMs;
        Assert.Equal(3u, await CountAsync(new() { InstanceId = workflow.Id, CreatedAfterMs = oldest }));
        Assert.Equal(0u, await CountAsync(new() { InstanceId = workflow.Id, CreatedBeforeMs = oldest }));
        Assert.Equal(0u, await CountAsync(new() { InstanceId = workflow.Id, CreatedAfterMs = newest + 1 }));
        Assert.Equal(1u, await CountAsync(new() { InstanceId = workflow.Id, CheckpointId = "b" }));
        Assert.Equal(0u, await CountAsync(new() { InstanceId = workflow.Id, CheckpointId = "B" }));
        Assert.Equal(0u, await CountAsync(new() { InstanceId = Unknown }));
    }

    [Theory]
    [InlineData(null, null, 100u, 0u, "cba")]
    [InlineData(0u, null, 0u, 0u, "")]
    [InlineData(1u, 1u, 1u, 1u, "b")]
    [InlineData(5000u, 2u, 1000u, 2u, "a")]
    [InlineData(1u, uint.MaxValue, 1u, (uint)int.MaxValue, "")]
    public async Task The_limit_and_offset_in_force_are_echoed(
        uint? limit, uint? offset, uint limitInForce, uint offsetInForce, string keys)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        var checkpoints = new ListCheckpointsRequest { InstanceId = workflow.Id };
        var events = new ListEventsRequest { InstanceId = workflow.Id, EventType = "custom" };
        if (limit is { } most)
            checkpoints.Limit = events.Limit = most;
        if (offset is { } skipped)
            checkpoints.Offset = events.Offset = skipped;
        foreach (var key in new[] { "a", "b", "c" })
        {
            await workflow.SaveAsync(key, "");
            await workflow.ReportAsync(EventType.EventCustom, key);
        }

        var saved = await CheckpointsAsync(checkpoints);
        var reported = await EventsAsync(events);

        Assert.Equal((keys, 3u), (string.Concat(saved.Checkpoints.Select(c => c.CheckpointId)), saved.TotalCount));
        Assert.Equal((limitInForce, offsetInForce), (saved.Limit, saved.Offset));
        Assert.Equal(
            (keys, 3u), (string.Concat(reported.Events.Select(e => e.Payload.ToStringUtf8())), reported.TotalCount));
        Assert.Equal((limitInForce, offsetInForce), (reported.Limit, reported.Offset));
    }

    [Fact]
    public async Task A_checkpoint_is_got_with_its_bytes_and_a_missing_one_is_echoed()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        await workflow.SaveAsync("a", "state");
        var found = await CheckpointAsync(workflow.Id, "a");
        Assert.Equal((true, "a", workflow.Id), (found.Found, found.CheckpointId, found.InstanceId));
        Assert.Equal("state", found.Data.ToStringUtf8());
        Assert.True(found.CreatedAtMs > 0);
        foreach (var (instance, key) in new[] { (workflow.Id, "b"), (Unknown, "a"), ("", "") })
        {
            Assert.Equal(
                new GetCheckpointResponse { InstanceId = instance, CheckpointId = key },
                await CheckpointAsync(instance, key));
        }
    }

    [Fact]
    public async Task A_retry_record_is_a_custom_event_and_no_checkpoint()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        await workflow.SaveAsync("k", "x");
        await workflow.CallAsync(new Protocol.Instances.RpcRequest
        {
            RetryAttempt = new()
            {
                InstanceId = workflow.Id, CheckpointId = "k", AttemptNumber = 2, ErrorMessage = "Timed out",
            },
        });
        Assert.Equal(1u, await CountAsync(new() { InstanceId = workflow.Id }));
        var retries = await EventsAsync(new() { InstanceId = workflow.Id, Subtype = "retry_attempt" });
        var retry = Assert.Single(retries.Events);
        Assert.Equal(("custom", "k"), (retry.EventType, retry.CheckpointId));
        Assert.Contains("Timed out", retry.Payload.ToStringUtf8());
    }

    [Fact]
    public async Task Events_tell_a_life_newest_first_and_heartbeats_are_not_among_them()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        await workflow.ReportAsync(EventType.EventHeartbeat);
        await workflow.ReportAsync(EventType.EventCustom, "p", "mine");
        await workflow.ReportAsync(EventType.EventCompleted, "{}");
        var list = await EventsAsync(new() { InstanceId = workflow.Id });
        Assert.Equal(["completed", "custom", "started"], list.Events.Select(e => e.EventType));
        Assert.Equal((3u, 100u, 0u), (list.TotalCount, list.Limit, list.Offset));
        var (completed, custom, started) = (list.Events[0], list.Events[1], list.Events[2]);
        Assert.Equal(("mine", "p", workflow.Id), (custom.Subtype, custom.Payload.ToStringUtf8(), custom.InstanceId));
        Assert.Equal((false, false, false), (started.HasPayload, started.HasSubtype, started.HasCheckpointId));
        Assert.True(completed.Id > custom.Id && custom.Id > started.Id && started.CreatedAtMs > 0);
        Assert.Equal(0u, (await EventsAsync(new() { InstanceId = workflow.Id, EventType = "heartbeat" })).TotalCount);
        Assert.Equal(1u, (await EventsAsync(new() { InstanceId = workflow.Id, EventType = "custom" })).TotalCount);
        Assert.Equal(0u, (await EventsAsync(new() { InstanceId = workflow.Id, Subtype = "other" })).TotalCount);
        Assert.Equal(0u, (await EventsAsync(new() { InstanceId = workflow.Id, CreatedBeforeMs = 0 })).TotalCount);
        Assert.Equal(3u, (await EventsAsync(new() { InstanceId = workflow.Id, CreatedAfterMs = 0 })).TotalCount);
        Assert.Empty((await EventsAsync(new() { InstanceId = Unknown })).Events);
    }

    [Fact]
    public async Task Custom_events_keep_subtype_payload_and_time_and_need_no_reader_of_their_replies()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        await using var client = edge.InstanceClient();
        const long Begin = 1_577_836_800_000;
        foreach (var (subtype, at) in new[] { ("a", 5), ("b", 3), ("a", 4), ("b", 2), ("a", 1) })
        {
            var sent = workflow.Event(EventType.EventCustom, $$"""{"at": {{at}}, "ä":[1.50]}""", subtype);
            sent.TimestampMs = Begin + at;
            await using var stream = await client.OpenAsync();
            await stream.Input.CompleteAsync();
            Protocol.FrameWriter.Write(
                stream.Output, Protocol.FrameType.Request, new Protocol.Instances.RpcRequest { InstanceEvent = sent });
            await stream.Output.CompleteAsync();
        }
        var all = await Eventually.IsAsync(
            () => EventsAsync(new() { InstanceId = workflow.Id, EventType = "custom" }), list => list.TotalCount == 5);
        Assert.Equal([5, 4, 3, 2, 1], all.Events.Select(e => e.CreatedAtMs - Begin));
        Assert.Equal("aabba", string.Concat(all.Events.Select(e => e.Subtype)));
        Assert.All(all.Events, e => Assert.Equal(
            $$"""{"at": {{e.CreatedAtMs - Begin}}, "ä":[1.50]}""", e.Payload.ToStringUtf8()));
        foreach (var (subtype, count) in new[] { ("a", 3u), ("b", 2u) })
        {
            var some = await EventsAsync(new() { InstanceId = workflow.Id, Subtype = subtype });
            Assert.Equal(count, some.TotalCount);
        }
        Assert.Equal(
            2u, (await EventsAsync(new() { InstanceId = workflow.Id, CreatedBeforeMs = Begin + 3 })).TotalCount);
        Assert.Equal(Protocol.Instances.InstanceStatus.StatusRunning, (await workflow.StatusAsync()).Status);
    }

    [Theory]
    [InlineData("100%_\\ Done", "100%_\\ dONE", true)]
    [InlineData("100 done", "1%", false)]
    [InlineData("100 done", "1_0", false)]
    [InlineData("100 done", "\\", false)]
    [InlineData("ÄRGER", "ärger", true)]
    public async Task Payloads_are_searched_without_case_without_wildcards_and_past_binary_ones(
        string payload, string text, bool found)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        var binary = workflow.Event(EventType.EventCustom);
        binary.Payload = ByteString.CopyFrom(0xff, 0, 0xc3, (byte)'x');
        await workflow.CallAsync(new Protocol.Instances.RpcRequest { InstanceEvent = binary });
        await workflow.ReportAsync(EventType.EventCustom, payload);
        var list = await EventsAsync(new() { InstanceId = workflow.Id, PayloadContains = text });
        Assert.Equal(found ? [payload] : [], list.Events.Select(e => e.Payload.ToStringUtf8()));
        Assert.Equal(found ? 1u : 0u, list.TotalCount);
        Assert.Equal(1u, (await EventsAsync(new() { InstanceId = workflow.Id, PayloadContains = "X" })).TotalCount);
    }

    [Fact]
    public async Task A_page_of_large_events_ends_early_and_its_limit_says_where()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        for (var i = 0; i < 5; i++)
            await workflow.ReportAsync(EventType.EventCustom, new string((char)('a' + i), 1900));
        var seen = "";
        for (var offset = 0u; offset < 5;)
        {
            var page = await EventsAsync(new() { InstanceId = workflow.Id, EventType = "custom", Offset = offset });
            Assert.Equal((5u, offset), (page.TotalCount, page.Offset));
            Assert.InRange(page.Events.Count, 1, 2);
            seen += string.Concat(page.Events.Select(e => e.Payload.ToStringUtf8()[0]));
            offset += page.Limit;
        }
        Assert.Equal("edcba", seen);
    }

    [Fact]
    public async Task Metrics_count_what_ended_in_each_hour_with_empty_hours_and_a_rate()
    {
        var tenant = edge.NewName("metrics");
        await EndAsync(tenant, EventType.EventCompleted);
        await EndAsync(tenant, EventType.EventCompleted);
        await EndAsync(tenant, EventType.EventFailed);
        var metrics = (await MetricsAsync(new() { TenantId = tenant })).GetTenantMetrics;
        Assert.Equal((tenant, MetricsGranularity.GranularityHourly), (metrics.TenantId, metrics.Granularity));
        Assert.Equal(24 * 3_600_000, metrics.EndTimeMs - metrics.StartTimeMs);
        Assert.Equal(25, metrics.Buckets.Count);
        Assert.Equal(metrics.StartTimeMs / 3_600_000 * 3_600_000, metrics.Buckets[0].BucketTimeMs);
        Assert.All(metrics.Buckets.Zip(metrics.Buckets.Skip(1)), pair => Assert.Equal(
            3_600_000, pair.Second.BucketTimeMs - pair.First.BucketTimeMs));
        // The hour may have changed between two of them.
        var full = metrics.Buckets.Where(b => b.InvocationCount > 0).ToList();
        Assert.Equal((3, 2, 1, 0), (
            full.Sum(b => b.InvocationCount), full.Sum(b => b.SuccessCount), full.Sum(b => b.FailureCount),
            full.Sum(b => b.CancelledCount)));
        Assert.All(full, b =>
        {
            Assert.Equal(b.SuccessCount * 100.0 / b.InvocationCount, b.SuccessRatePercent, 9);
            Assert.True(b.HasAvgDurationMs && b.MinDurationMs <= b.AvgDurationMs);
            Assert.True(b.AvgDurationMs <= b.MaxDurationMs);
            Assert.False(b.HasAvgMemoryBytes || b.HasMaxMemoryBytes);
        });
        var empty = metrics.Buckets[1];
        Assert.Equal(new MetricsBucket { BucketTimeMs = empty.BucketTimeMs }, empty);
    }

    [Fact]
    public async Task Metrics_by_the_day_begin_at_midnight_and_echo_their_range()
    {
        const long Day = 24 * 3_600_000;
        var metrics = (await MetricsAsync(new()
        {
            TenantId = "t", StartTimeMs = 10 * Day + 1, EndTimeMs = 12 * Day,
            Granularity = MetricsGranularity.GranularityDaily,
        })).GetTenantMetrics;
        Assert.Equal([10 * Day, 11 * Day, 12 * Day], metrics.Buckets.Select(b => b.BucketTimeMs));
        Assert.Equal((10 * Day + 1, 12 * Day), (metrics.StartTimeMs, metrics.EndTimeMs));
        Assert.Equal(MetricsGranularity.GranularityDaily, metrics.Granularity);
    }

    [Fact]
    public async Task A_time_that_no_calendar_has_and_an_unknown_width_count_as_absent_in_metrics()
    {
        var metrics = (await MetricsAsync(new()
        {
            TenantId = "t", StartTimeMs = long.MinValue, EndTimeMs = long.MaxValue, Granularity = (MetricsGranularity)9,
        })).GetTenantMetrics;
        Assert.Equal((25, MetricsGranularity.GranularityHourly), (metrics.Buckets.Count, metrics.Granularity));
    }

    [Fact]
    public async Task Metrics_need_a_tenant_and_a_range_of_limited_length()
    {
        var error = (await MetricsAsync(new())).Error;
        Assert.Equal(
            ("GET_TENANT_METRICS_ERROR", "Invalid request: tenant_id is required"), (error.Code, error.Message));
        error = (await MetricsAsync(new() { TenantId = "t", StartTimeMs = 0, EndTimeMs = 100 * 3_600_000 })).Error;
        Assert.Equal("GET_TENANT_METRICS_ERROR", error.Code);
        Assert.StartsWith(
            "Invalid request: the range has 101 buckets, the limit is 100 (edge.metrics-buckets-max)", error.Message,
            StringComparison.Ordinal);
        Assert.Equal(100, (await MetricsAsync(
            new() { TenantId = "t", StartTimeMs = 0, EndTimeMs = 99 * 3_600_000 })).GetTenantMetrics.Buckets.Count);
    }

    [Fact]
    public async Task A_query_that_takes_too_long_is_to_ask_for_less_and_not_to_be_repeated()
    {
        await using var store = await Store.OpenAsync(
            new StoreOptions
            {
                DatabaseUrl = await edge.NewDatabaseAsync(),
                DataDirectory = Path.Combine(edge.DirectoryPath, edge.NewName("slow")),
                Faults = new FaultOptions { Delayed = 1, DelayMax = TimeSpan.FromMilliseconds(200) },
            },
            default);
        var requests = edge.NewEnvironmentRequests(
            edge.Gate, edge.Options with { RequestTimeout = TimeSpan.FromMilliseconds(1) }, store);
        foreach (var (request, code) in new (RpcRequest, string)[]
        {
            (new() { ListEvents = new() { InstanceId = Unknown } }, "LIST_EVENTS_ERROR"),
            (new() { ListCheckpoints = new() { InstanceId = Unknown } }, "LIST_CHECKPOINTS_ERROR"),
            (new() { ListInstances = new() }, "LIST_INSTANCES_ERROR"),
            (new() { ListImages = new() }, "LIST_IMAGES_ERROR"),
            (new() { GetTenantMetrics = new() { TenantId = "t" } }, "GET_TENANT_METRICS_ERROR"),
        })
        {
            // The delay can be next to none.
            var late = await Eventually.IsAsync(
                async () => await requests.HandleAsync(request, default), answer => answer.Error is not null);
            Assert.Equal(
                (code, "The query took longer than 0.001 s (edge.request-timeout): ask for less, for instance for a "
                    + "shorter range of time or a smaller page"),
                (late.Error.Code, late.Error.Message));
        }
    }

    [Fact]
    public async Task Health_counts_instances_that_run()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        var health = (await CallAsync(new RpcRequest { HealthCheck = new() })).HealthCheck;
        Assert.True(health.Healthy);
        Assert.InRange(health.ActiveInstances, 1u, 10_000u);
    }

    private async Task EndAsync(string tenant, EventType how)
    {
        await using var workflow = await WorkflowClient.ConnectAsync(edge, "quic", edge.NewName());
        Assert.Equal("", (await workflow.RegisterAsync(tenant)).Error);
        Assert.True((await workflow.ReportAsync(how, "{}")).InstanceEvent.Success);
    }

    private async Task<RpcResponse> CallAsync(RpcRequest request) => (await edge.Environment.CallAsync(request))!;

    private async Task<ListCheckpointsResponse> CheckpointsAsync(ListCheckpointsRequest request) =>
        (await CallAsync(new RpcRequest { ListCheckpoints = request })).ListCheckpoints;

    private async Task<uint> CountAsync(ListCheckpointsRequest request) =>
        (await CheckpointsAsync(request)).TotalCount;

    private async Task<GetCheckpointResponse> CheckpointAsync(string instance, string key) =>
        (await CallAsync(new RpcRequest { GetCheckpoint = new() { InstanceId = instance, CheckpointId = key } }))
        .GetCheckpoint;

    private async Task<ListEventsResponse> EventsAsync(ListEventsRequest request) =>
        (await CallAsync(new RpcRequest { ListEvents = request })).ListEvents;

    private Task<RpcResponse> MetricsAsync(GetTenantMetricsRequest request) =>
        CallAsync(new RpcRequest { GetTenantMetrics = request });
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteQueryTests(EdgeHost edge) : QueryContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresQueryTests(PostgresEdgeHost edge) : QueryContract(edge);
