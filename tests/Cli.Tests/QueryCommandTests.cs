using System.Text.Json;
using Google.Protobuf;
using Runtara.Client.Tests;
using Runtara.Protocol.Environments;

namespace Runtara.Cli.Tests;

public sealed class QueryCommandTests : IAsyncLifetime
{
    private readonly StringWriter _output = new();
    private readonly StringWriter _error = new();
    private readonly Dictionary<string, string> _variables = [];
    private FakeServer _server = null!;

    public async Task InitializeAsync()
    {
        _server = await FakeServer.StartAsync();
        _variables["RUNTARA_ENVIRONMENT_ADDR"] = $"127.0.0.1:{_server.Address.Port}";
        _variables["RUNTARA_SERVER_CERT"] = _server.CertificatePath;
    }

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Checkpoints_are_a_table_and_filters_are_sent()
    {
        var list = new ListCheckpointsResponse { TotalCount = 9 };
        list.Checkpoints.Add(new CheckpointSummary { CheckpointId = "step-1", DataSizeBytes = 1234 });
        _server.Answer = _ => new RpcResponse { ListCheckpoints = list };

        var exit = await RunAsync(
            "checkpoints", "i", "--key", "step-1", "--since", "2026-03-01T00:00:00Z", "--until", "2026-03-02",
            "--limit", "1", "--offset", "2");

        Assert.Equal(ExitCode.Ok, exit);
        foreach (var shown in new[] { "step-1", "1,234", "1 of 9" })
            Assert.Contains(shown, _output.ToString());
        var sent = _server.Requests.Single().ListCheckpoints;
        Assert.Equal(("i", "step-1", 1u, 2u), (sent.InstanceId, sent.CheckpointId, sent.Limit, sent.Offset));
        Assert.Equal((1772323200000, 1772409600000), (sent.CreatedAfterMs, sent.CreatedBeforeMs));
    }

    [Fact]
    public async Task A_checkpoint_shows_its_value_and_as_json_its_bytes_too()
    {
        var found = new GetCheckpointResponse
        {
            Found = true, InstanceId = "i", CheckpointId = "k", Data = ByteString.CopyFromUtf8("""{"paid":true}"""),
        };
        _server.Answer = _ => new RpcResponse { GetCheckpoint = found };
        Assert.Equal(ExitCode.Ok, await RunAsync("checkpoint", "i", "k"));
        Assert.Contains("""{"paid":true}""", _output.ToString());
        _output.GetStringBuilder().Clear();
        Assert.Equal(ExitCode.Ok, await RunAsync("checkpoint", "i", "k", "--json"));
        var json = JsonDocument.Parse(_output.ToString()).RootElement;
        Assert.Equal(
            ["checkpoint_id", "instance_id", "created_at", "data", "bytes"],
            json.EnumerateObject().Select(p => p.Name));
        Assert.True(json.GetProperty("data").GetProperty("paid").GetBoolean());
        Assert.Equal("""{"paid":true}"""u8.ToArray(), json.GetProperty("bytes").GetBytesFromBase64());
    }

    [Fact]
    public async Task A_checkpoint_that_is_no_text_does_not_reach_the_terminal()
    {
        var found = new GetCheckpointResponse { Found = true, Data = ByteString.CopyFromUtf8("\u001b[2J") };
        _server.Answer = _ => new RpcResponse { GetCheckpoint = found };
        Assert.Equal(ExitCode.Ok, await RunAsync("checkpoint", "i", "k"));
        Assert.Contains("not text", _output.ToString());
        Assert.DoesNotContain('\u001b', _output.ToString());
    }

    [Fact]
    public async Task A_missing_checkpoint_is_refused_with_advice()
    {
        _server.Answer = _ => new RpcResponse { GetCheckpoint = new GetCheckpointResponse() };
        Assert.Equal(ExitCode.Refused, await RunAsync("checkpoint", "i", "k"));
        Assert.Contains("Checkpoint 'k' of instance 'i' not found", _error.ToString());
        Assert.Contains("List the instance's checkpoints", _error.ToString());
    }

    [Fact]
    public async Task Events_are_a_table_and_filters_are_sent()
    {
        var list = new ListEventsResponse { TotalCount = 3 };
        list.Events.Add(new EventSummary
        {
            Id = 77, EventType = "custom", Subtype = "paid", Payload = ByteString.CopyFromUtf8("[€]"),
        });
        list.Events.Add(new EventSummary { Id = 76, EventType = "custom", Payload = ByteString.CopyFrom(0xff, 0) });
        _server.Answer = _ => new RpcResponse { ListEvents = list };

        var exit = await RunAsync(
            "events", "i", "--type", "custom", "--subtype", "paid", "--contains", "100%", "--since", "1h");

        Assert.Equal(ExitCode.Ok, exit);
        foreach (var shown in new[] { "77", "paid", "[€]", "(2 bytes)", "2 of 3" })
            Assert.Contains(shown, _output.ToString());
        var sent = _server.Requests.Single().ListEvents;
        Assert.Equal(("custom", "paid", "100%"), (sent.EventType, sent.Subtype, sent.PayloadContains));
        var hourAgo = TimeProvider.System.GetUtcNow().AddHours(-1).ToUnixTimeMilliseconds();
        Assert.InRange(sent.CreatedAfterMs, hourAgo - 60_000, hourAgo);
        Assert.False(sent.HasCreatedBeforeMs);
    }

    [Fact]
    public async Task Metrics_are_a_table_or_json_with_seconds()
    {
        var metrics = new GetTenantMetricsResponse
        {
            TenantId = "t", Granularity = MetricsGranularity.GranularityDaily,
        };
        metrics.Buckets.Add(new MetricsBucket
        {
            BucketTimeMs = 86_400_000, InvocationCount = 4, SuccessCount = 3, FailureCount = 1, AvgDurationMs = 1500,
            MaxMemoryBytes = 3 << 20, SuccessRatePercent = 75,
        });
        metrics.Buckets.Add(new MetricsBucket { BucketTimeMs = 2 * 86_400_000 });
        _server.Answer = _ => new RpcResponse { GetTenantMetrics = metrics };
        Assert.Equal(ExitCode.Ok, await RunAsync("metrics", "--tenant", "t", "--daily", "--since", "7d"));
        foreach (var shown in new[] { "1970-01-02 00:00:00Z", "75.0 %", "1.500", "3.0", "4 ended" })
            Assert.Contains(shown, _output.ToString());
        var sent = _server.Requests.Single().GetTenantMetrics;
        Assert.Equal(("t", MetricsGranularity.GranularityDaily, false), (
            sent.TenantId, sent.Granularity, sent.HasEndTimeMs));
        _output.GetStringBuilder().Clear();
        await RunAsync("metrics", "--tenant", "t", "--json");
        var json = JsonDocument.Parse(_output.ToString()).RootElement;
        Assert.Equal("daily", json.GetProperty("granularity").GetString());
        var bucket = json.GetProperty("buckets")[0];
        Assert.Equal(1.5, bucket.GetProperty("avg_duration_seconds").GetDouble());
        Assert.Equal(JsonValueKind.Null, bucket.GetProperty("min_duration_seconds").ValueKind);
    }

    [Theory]
    [InlineData("events", "i", "--since", "yesterday")]
    [InlineData("events", "i", "--since", "1y")]
    [InlineData("events", "i", "--type", "heartbeat")]
    [InlineData("metrics")]
    [InlineData("checkpoint", "i")]
    public async Task A_wrong_command_line_exits_with_2(params string[] args)
    {
        Assert.Equal(ExitCode.Usage, await RunAsync(args));
        Assert.Empty(_server.Requests);
    }

    private Task<int> RunAsync(params string[] args) => new Cli(new CliEnvironment(
        new StringReader(""), _output, _error, IsInteractive: false, _variables.GetValueOrDefault)).RunAsync(args);
}
