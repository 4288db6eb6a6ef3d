using Google.Protobuf;
using Runtara.Protocol.Environments;

namespace Runtara.Client.Tests;

public sealed class QueryTests : IAsyncLifetime
{
    private FakeServer _server = null!;
    private RuntaraClient _client = null!;

    public async Task InitializeAsync()
    {
        _server = await FakeServer.StartAsync();
        _client = await _server.ConnectAsync();
    }

    public async Task DisposeAsync()
    {
        await _client.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task A_limit_of_0_is_sent_and_absent_filters_are_not()
    {
        _server.Answer = _ => new RpcResponse { ListCheckpoints = new ListCheckpointsResponse { TotalCount = 5 } };
        var list = await _client.ListCheckpointsAsync(new CheckpointFilter("i") { Limit = 0 });
        Assert.Equal((5u, 0), (list.TotalCount, list.Checkpoints.Count));
        var sent = _server.Requests.Single().ListCheckpoints;
        Assert.Equal((true, 0u), (sent.HasLimit, sent.Limit));
        Assert.False(sent.HasCheckpointId || sent.HasCreatedAfterMs || sent.HasCreatedBeforeMs);
    }

    [Theory]
    [InlineData("""{"a":1}""", true)]
    [InlineData("1 2", false)]
    [InlineData("", false)]
    public async Task A_checkpoint_has_its_bytes_and_a_value_if_it_is_json(string data, bool isJson)
    {
        _server.Answer = _ => new RpcResponse
        {
            GetCheckpoint = new GetCheckpointResponse { Found = true, Data = ByteString.CopyFromUtf8(data) },
        };
        var found = await _client.GetCheckpointAsync("i", "k");
        Assert.Equal((isJson, data.Length), (found!.Data is not null, found.Bytes.Length));
    }

    [Fact]
    public async Task A_missing_checkpoint_is_null()
    {
        _server.Answer = _ => new RpcResponse { GetCheckpoint = new GetCheckpointResponse() };
        Assert.Null(await _client.GetCheckpointAsync("i", "k"));
    }

    [Fact]
    public async Task Events_keep_what_is_absent_apart()
    {
        var list = new ListEventsResponse { TotalCount = 2, Limit = 1, Offset = 3 };
        list.Events.Add(new EventSummary { Id = 4, EventType = "started", CreatedAtMs = 1000 });
        _server.Answer = _ => new RpcResponse { ListEvents = list };
        var events = await _client.ListEventsAsync(new EventFilter("i"));
        Assert.Equal((2u, 1u, 3u), (events.TotalCount, events.Limit, events.Offset));
        var started = Assert.Single(events.Events);
        Assert.Equal(
            (4, "started", null, null), (started.Id, started.EventType, started.Subtype, started.CheckpointId));
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1), started.CreatedAt);
        Assert.Equal((null, 0), (started.Payload, started.Bytes.Length));
    }

    [Fact]
    public async Task Metrics_are_in_seconds_and_absent_ones_null()
    {
        var metrics = new GetTenantMetricsResponse { TenantId = "t" };
        metrics.Buckets.Add(new Protocol.Environments.MetricsBucket { InvocationCount = 1, MinDurationMs = 250 });
        _server.Answer = _ => new RpcResponse { GetTenantMetrics = metrics };
        var read = await _client.GetTenantMetricsAsync(new MetricsQuery("t"));
        var bucket = Assert.Single(read.Buckets);
        Assert.Equal((1, 0.25, null, null), (
            bucket.InvocationCount, bucket.MinDurationSeconds, bucket.AvgDurationSeconds, bucket.SuccessRatePercent));
        var sent = _server.Requests.Single().GetTenantMetrics;
        Assert.False(sent.HasStartTimeMs || sent.HasEndTimeMs);
    }

    [Fact]
    public async Task A_refused_range_keeps_its_code()
    {
        var error = new RpcError { Code = "GET_TENANT_METRICS_ERROR", Message = "Invalid request: too long" };
        _server.Answer = _ => new RpcResponse { Error = error };
        var refused = await Assert.ThrowsAsync<RuntaraException>(
            () => _client.GetTenantMetricsAsync(new MetricsQuery("t")));
        Assert.Equal((error.Code, error.Message), (refused.Code, refused.Message));
    }
}
