using Google.Protobuf;
using Runtara.Actors.Runners;
using Runtara.Edge.Environments;
using Runtara.Edge.Tests.Harness;
using Runtara.Protocol;
using Runtara.Protocol.Environments;
using InstanceEventType = Runtara.Protocol.Instances.InstanceEventType;

namespace Runtara.Edge.Tests.Environments;

public abstract class InstanceContract(EdgeHost edge)
{
    private async Task<RpcResponse> CallAsync(RpcRequest request) => (await edge.Environment.CallAsync(request))!;

    private StartInstanceRequest Request(string? id = null) =>
        new() { ImageId = edge.Image, TenantId = EdgeHost.Tenant, InstanceId = id ?? edge.NewName("env") };

    private async Task<StartInstanceResponse> StartAsync(StartInstanceRequest request) =>
        (await CallAsync(new RpcRequest { StartInstance = request })).StartInstance;

    private async Task RefusedAsync(StartInstanceRequest request, string error)
    {
        var response = await StartAsync(request);
        Assert.Equal((false, error, ""), (response.Success, response.Error, response.InstanceId));
    }

    private async Task<ListInstancesResponse> ListAsync(ListInstancesRequest request) =>
        (await CallAsync(new RpcRequest { ListInstances = request })).ListInstances;

    [Fact]
    public async Task Health_is_reported()
    {
        var health = (await CallAsync(new RpcRequest { HealthCheck = new() })).HealthCheck;
        Assert.True(health.Healthy);
        Assert.Equal(EnvironmentRequests.Version, health.Version);
        Assert.True(health.UptimeMs >= 0);
    }

    [Fact]
    public async Task The_uptime_grows()
    {
        var first = (await CallAsync(new RpcRequest { HealthCheck = new() })).HealthCheck.UptimeMs;
        await Eventually.IsAsync(
            async () => (await CallAsync(new RpcRequest { HealthCheck = new() })).HealthCheck.UptimeMs,
            uptime =>
            {
                Assert.True(uptime >= first);
                return uptime > first;
            });
    }

    [Fact]
    public async Task A_request_without_content_is_an_empty_request()
    {
        var error = (await CallAsync(new RpcRequest())).Error;
        Assert.Equal(("EMPTY_REQUEST", "RpcRequest contained no request"), (error.Code, error.Message));
    }

    [Fact]
    public async Task A_start_needs_an_image_of_the_tenant_with_a_bundle()
    {
        await RefusedAsync(new() { TenantId = EdgeHost.Tenant }, "image_id is required");
        await RefusedAsync(new() { ImageId = "none", TenantId = EdgeHost.Tenant }, "Image 'none' not found");
        await RefusedAsync(new() { ImageId = edge.Image, TenantId = "other" }, $"Image '{edge.Image}' not found");
        var native = (await CallAsync(new RpcRequest
        {
            RegisterImage = new()
            {
                TenantId = EdgeHost.Tenant,
                Name = "native",
                Binary = ByteString.CopyFromUtf8("x"),
                RunnerType = RunnerType.RunnerNative,
            },
        })).RegisterImage.ImageId;
        await RefusedAsync(new() { ImageId = native, TenantId = EdgeHost.Tenant }, $"Image '{native}' has no bundle");
    }

    [Theory]
    [InlineData("a/b", "instance_id may have only A-Z a-z 0-9 . _ : -, not '/'")]
    [InlineData(".", "instance_id must not be '.'")]
    [InlineData("$waker-1", "instance_id may have only A-Z a-z 0-9 . _ : -, not '$'")]
    [InlineData("ä", "instance_id may have only A-Z a-z 0-9 . _ : -, not 'ä'")]
    public Task An_id_that_breaks_the_rule_is_refused(string id, string error) => RefusedAsync(Request(id), error);

    [Theory]
    [InlineData("RUNTARA_INSTANCE_ID")]
    [InlineData("RUNTARA_TENANT_ID")]
    [InlineData("RUNTARA_SERVER_ADDR")]
    [InlineData("RUNTARA_CHECKPOINT_ID")]
    [InlineData("RUNTARA_ATTEMPT")]
    [InlineData("RUNTARA_SOCKET")]
    public async Task A_variable_of_the_daemon_cannot_be_set(string name)
    {
        var request = Request();
        request.Env.Add(name, "x");
        await RefusedAsync(request, $"env must not set {name}: the daemon sets it");
    }

    [Theory]
    [InlineData("", "x")]
    [InlineData("A=B", "x")]
    [InlineData("A\0", "x")]
    [InlineData("A", "x\0y")]
    public async Task A_variable_that_no_process_can_have_is_refused(string name, string value)
    {
        var request = Request();
        request.Env.Add(name, value);
        Assert.StartsWith(
            $"env has the variable '{name}'", (await StartAsync(request)).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_status_that_is_larger_than_a_frame_leaves_out_the_input_and_then_the_output()
    {
        var request = Request();
        request.Input = ByteString.CopyFromUtf8($"\"{new string('i', 1990)}\"");
        Assert.True((await StartAsync(request)).Success);
        await edge.LaunchedAsync(request.InstanceId, 1);
        await using var workflow = await WorkflowClient.ConnectAsync(edge, "socket", request.InstanceId, 1);
        Assert.True((await workflow.RegisterAsync()).Success);
        var output = new string('o', 3000);
        Assert.True((await workflow.ReportAsync(InstanceEventType.EventCompleted, output)).InstanceEvent.Success);
        foreach (var (frame, seenInput, seenOutput, error) in ((int, int, int, string)[])[
            (6500, 1992, 3000, ""), (4500, 0, 3000, ""),
            (3500, 0, 0, "The output has 3000 bytes, more than a frame may have (edge.frame-bytes-max)")])
        {
            await using var server = await edge.NewEnvironmentServerAsync(
                edge.Options with { Frames = new FrameLimits { PayloadBytesMax = frame } });
            server.Start();
            await using var client = new QuicClient<RpcRequest, RpcResponse>(
                server.Listener.LocalEndPoint, RpcResponse.Parser);
            var status = (await client.CallAsync(
                new RpcRequest { GetInstanceStatus = new() { InstanceId = request.InstanceId } }))!.GetInstanceStatus;
            Assert.Equal(InstanceStatus.StatusCompleted, status.Status);
            Assert.Equal((seenInput, seenOutput, error), (status.Input.Length, status.Output.Length, status.Error));
        }
    }

    [Fact]
    public async Task A_status_without_an_output_keeps_its_error_in_a_frame_of_any_size()
    {
        var request = Request();
        Assert.True((await StartAsync(request)).Success);
        await edge.LaunchedAsync(request.InstanceId, 1);
        await using var workflow = await WorkflowClient.ConnectAsync(edge, "socket", request.InstanceId, 1);
        Assert.True((await workflow.RegisterAsync()).Success);
        var error = new string('e', 500);
        Assert.True((await workflow.ReportAsync(InstanceEventType.EventFailed, error)).InstanceEvent.Success);
        await using var server = await edge.NewEnvironmentServerAsync(
            edge.Options with { Frames = new FrameLimits { PayloadBytesMax = 1200 } });
        server.Start();
        await using var client = new QuicClient<RpcRequest, RpcResponse>(
            server.Listener.LocalEndPoint, RpcResponse.Parser);
        var status = (await client.CallAsync(
            new RpcRequest { GetInstanceStatus = new() { InstanceId = request.InstanceId } }))!.GetInstanceStatus;
        Assert.Equal((InstanceStatus.StatusFailed, error), (status.Status, status.Error));
    }

    [Fact]
    public async Task Input_and_timeout_have_limits()
    {
        var large = Request();
        large.Input = ByteString.CopyFrom(new byte[2001]);
        await RefusedAsync(large, "input has 2001 bytes, the limit is 2000 (edge.input-bytes-max)");
        var timeless = Request();
        timeless.TimeoutSeconds = 0;
        await RefusedAsync(timeless, "timeout_seconds must be at least 1");
    }

    [Fact]
    public async Task The_variables_of_a_start_have_a_limit()
    {
        var request = Request();
        request.Env.Add("A", new string('x', 65_535));
        Assert.True((await StartAsync(request)).Success);
        var large = Request();
        large.Env.Add("A", new string('x', 65_536));
        await RefusedAsync(large, "env has 65537 characters, the limit is 65536");
    }

    [Fact]
    public async Task A_start_launches_with_its_variables_and_shows_in_the_status()
    {
        var request = Request();
        request.Input = ByteString.CopyFromUtf8("{\"a\":1}");
        request.Env.Add("COLOR", "blue");
        request.TimeoutSeconds = uint.MaxValue;
        Assert.Equal(request.InstanceId, (await StartAsync(request)).InstanceId);
        await edge.LaunchedAsync(request.InstanceId, 1);
        var launch = Assert.Single(edge.CommandsOf(request.InstanceId).OfType<RunnerCommand.Launch>());
        Assert.Equal("blue", launch.Environment["COLOR"]);
        Assert.Null(launch.CheckpointId);
        var status = await StatusAsync(request.InstanceId);
        Assert.Equal((true, InstanceStatus.StatusRunning), (status.Found, status.Status));
        Assert.Equal((edge.Image, "image", EdgeHost.Tenant), (status.ImageId, status.ImageName, status.TenantId));
        Assert.Equal(("{\"a\":1}", 1u, 3u), (status.Input.ToStringUtf8(), status.RetryCount, status.MaxRetries));
        Assert.True(status.CreatedAtMs > 0);
        Assert.False(status.HasFinishedAtMs);
    }

    private async Task<GetInstanceStatusResponse> StatusAsync(string id) =>
        (await CallAsync(new RpcRequest { GetInstanceStatus = new() { InstanceId = id } })).GetInstanceStatus;

    [Fact]
    public async Task Without_an_id_one_is_made_and_without_json_the_input_is_an_empty_object()
    {
        var started = await StartAsync(
            new() { ImageId = edge.Image, TenantId = EdgeHost.Tenant, Input = ByteString.CopyFromUtf8("{no") });
        Assert.True(started.Success);
        Assert.True(Guid.TryParse(started.InstanceId, out _));
        Assert.Equal("{}", (await StatusAsync(started.InstanceId)).Input.ToStringUtf8());
    }

    [Fact]
    public async Task The_same_start_twice_starts_once_and_another_with_its_id_is_refused()
    {
        var request = Request();
        Assert.True((await StartAsync(request)).Success);
        await edge.LaunchedAsync(request.InstanceId, 1);
        var again = await StartAsync(request);
        Assert.Equal((true, request.InstanceId), (again.Success, again.InstanceId));
        request.Input = ByteString.CopyFromUtf8("[]");
        await RefusedAsync(request, $"Instance '{request.InstanceId}' already exists");
        Assert.Single(edge.CommandsOf(request.InstanceId).OfType<RunnerCommand.Launch>());
    }

    [Fact]
    public async Task The_same_start_again_succeeds_although_the_image_of_what_has_ended_is_gone()
    {
        var request = Request();
        request.ImageId = await edge.RegisterImageAsync(EdgeHost.Tenant, edge.NewName("gone"));
        Assert.True((await StartAsync(request)).Success);
        await edge.LaunchedAsync(request.InstanceId, 1);
        await CallAsync(new RpcRequest { StopInstance = new() { InstanceId = request.InstanceId } });
        edge.Kill(request.InstanceId, 1);
        await Eventually.IsAsync(
            () => StatusAsync(request.InstanceId), status => status.Status == InstanceStatus.StatusCancelled);
        var deleted = await CallAsync(
            new RpcRequest { DeleteImage = new() { ImageId = request.ImageId, TenantId = EdgeHost.Tenant } });
        Assert.True(deleted.DeleteImage.Success, deleted.DeleteImage.Error);

        var again = await StartAsync(request);

        Assert.Equal((true, request.InstanceId, ""), (again.Success, again.InstanceId, again.Error));
        request.Input = ByteString.CopyFromUtf8("[]");
        await RefusedAsync(request, $"Image '{request.ImageId}' not found");
        request.InstanceId = "";
        await RefusedAsync(request, $"Image '{request.ImageId}' not found");
    }

    [Fact]
    public async Task A_heartbeat_shows_in_the_status()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        Assert.False((await StatusAsync(workflow.Id)).HasHeartbeatAtMs);
        await workflow.ReportAsync(Protocol.Instances.InstanceEventType.EventHeartbeat);
        Assert.True((await StatusAsync(workflow.Id)).HasHeartbeatAtMs);
    }

    [Fact]
    public async Task The_status_of_an_unknown_instance_is_not_found()
    {
        var status = await StatusAsync("no-such");
        Assert.Equal(
            (false, "no-such", "Instance 'no-such' not found"), (status.Found, status.InstanceId, status.Error));
    }

    [Fact]
    public async Task Lists_filter_page_and_count()
    {
        var image = await edge.RegisterImageAsync("lists", "pre_fix-1");
        var ids = Enumerable.Range(0, 3).Select(_ => edge.NewName("list")).ToList();
        foreach (var id in ids)
            Assert.True((await StartAsync(new() { ImageId = image, TenantId = "lists", InstanceId = id })).Success);
        var all = await ListAsync(new() { TenantId = "lists", OrderBy = "created_at_asc" });
        Assert.Equal(ids, all.Instances.Select(i => i.InstanceId));
        Assert.Equal(3u, all.TotalCount);
        ids.Reverse();
        var page = await ListAsync(new() { TenantId = "lists", Limit = 1, Offset = 1, OrderBy = "nonsense" });
        Assert.Equal((ids[1], 3u), (Assert.Single(page.Instances).InstanceId, page.TotalCount));
        Assert.Equal(3u, (await ListAsync(new() { ImageId = image })).TotalCount);
        Assert.Equal(3u, (await ListAsync(new() { ImageNamePrefix = "pre_" })).TotalCount);
        Assert.Equal(0u, (await ListAsync(new() { ImageNamePrefix = "pre%" })).TotalCount);
        Assert.Equal(0u, (await ListAsync(new() { TenantId = "" })).TotalCount);
        Assert.Equal(
            3u, (await ListAsync(new() { TenantId = "lists", ImageId = "", Status = (InstanceStatus)99 })).TotalCount);
        Assert.Equal(
            0u, (await ListAsync(new() { TenantId = "lists", Status = InstanceStatus.StatusCompleted })).TotalCount);
        var created = all.Instances[0].CreatedAtMs;
        Assert.Equal(0u, (await ListAsync(new() { TenantId = "lists", CreatedBeforeMs = created })).TotalCount);
        Assert.Equal(3u, (await ListAsync(new() { TenantId = "lists", CreatedAfterMs = created })).TotalCount);
        Assert.Equal(0u, (await ListAsync(new() { TenantId = "lists", FinishedAfterMs = 0 })).TotalCount);
    }

    [Fact]
    public async Task A_time_that_no_calendar_has_filters_like_the_end_of_time()
    {
        await edge.LaunchAsync();
        Assert.Equal(0u, (await ListAsync(new() { CreatedAfterMs = long.MaxValue })).TotalCount);
        Assert.Equal(0u, (await ListAsync(new() { CreatedBeforeMs = long.MinValue })).TotalCount);
        Assert.NotEqual(0u, (await ListAsync(new() { CreatedBeforeMs = long.MaxValue })).TotalCount);
        Assert.NotEqual(0u, (await ListAsync(new() { CreatedAfterMs = long.MinValue })).TotalCount);
    }

    [Theory]
    [InlineData(0u, 1000, 100)]
    [InlineData(1u, 1000, 1)]
    [InlineData(1001u, 1000, 1000)]
    [InlineData(uint.MaxValue, 1000, 1000)]
    [InlineData(0u, 20, 20)]
    public void A_limit_is_100_by_default_and_never_more_than_a_page(uint asked, int max, int limit) =>
        Assert.Equal(limit, Paging.Limit(asked, max));

    [Fact]
    public async Task An_offset_beyond_the_end_gives_an_empty_page() =>
        Assert.Empty((await ListAsync(new() { Offset = uint.MaxValue })).Instances);

    public static TheoryData<RpcRequest.RequestOneofCase> Arms() =>
    [
        .. Enum.GetValues<RpcRequest.RequestOneofCase>().Except(
            [RpcRequest.RequestOneofCase.None, RpcRequest.RequestOneofCase.RegisterImageStream]),
    ];

    [Theory, MemberData(nameof(Arms))]
    public async Task Every_request_is_answered_by_its_own_arm_or_its_own_error(RpcRequest.RequestOneofCase arm)
    {
        var field = RpcRequest.Descriptor.FindFieldByNumber((int)arm);
        var request = new RpcRequest();
        field.Accessor.SetValue(request, field.MessageType.Parser.ParseFrom(ByteString.Empty));
        var response = await CallAsync(request);
        if (response.Error is { } error)
            Assert.Equal($"{field.Name.ToUpperInvariant()}_ERROR", error.Code);
        else
            Assert.Equal(arm.ToString(), response.ResponseCase.ToString());
    }
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteInstanceTests(EdgeHost edge) : InstanceContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresInstanceTests(PostgresEdgeHost edge) : InstanceContract(edge);
