using System.Text;
using Google.Protobuf;
using Runtara.Protocol;
using Runtara.Protocol.Environments;

namespace Runtara.Client.Tests;

public sealed class RuntaraClientTests : IAsyncLifetime
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
    public async Task Health_is_read()
    {
        var health = new HealthCheckResponse { Healthy = true, Version = "1.4.1", UptimeMs = 5, ActiveInstances = 2 };
        _server.Answer = _ => new RpcResponse { HealthCheck = health };

        Assert.Equal(new HealthStatus(true, "1.4.1", 5, 2), await _client.HealthAsync());
    }

    [Fact]
    public async Task Everything_about_an_instance_is_read()
    {
        _server.Answer = _ => new RpcResponse { GetInstanceStatus = new GetInstanceStatusResponse
        {
            Found = true, InstanceId = "i", TenantId = "t", ImageId = "m", ImageName = "n", CreatedAtMs = 1000,
            Status = Protocol.Environments.InstanceStatus.StatusFailed, Error = "boom", Stderr = "trace",
            Input = ByteString.CopyFromUtf8("""{"a":1}"""), Output = ByteString.CopyFromUtf8("not json"),
            FinishedAtMs = 2000, MemoryPeakBytes = 7, RetryCount = 1, MaxRetries = 3,
        } };

        var info = await _client.GetInstanceStatusAsync("i");

        Assert.Equal((InstanceStatus.Failed, "boom", "trace"), (info.Status, info.Error, info.Stderr));
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(2), info.FinishedAt);
        Assert.Equal(1, info.Input?.GetProperty("a").GetInt32());
        Assert.Null(info.Output);
        Assert.Null(info.StartedAt);
        Assert.Equal((7ul, null), (info.MemoryPeakBytes, info.CpuUsageUsec));
    }

    [Fact]
    public async Task A_missing_instance_is_an_exception_of_its_own()
    {
        _server.Answer = _ => new RpcResponse { GetInstanceStatus = new GetInstanceStatusResponse() };
        var missing = await Assert.ThrowsAsync<InstanceNotFoundException>(() => _client.GetInstanceStatusAsync("x"));
        Assert.Contains("'x'", missing.Message);
    }

    [Theory]
    [InlineData("Image 'm' not found", "IMAGE_NOT_FOUND")]
    [InlineData("Image 'm' is in use by 2 instances", "DELETE_FAILED")]
    public async Task A_refused_delete_says_why(string error, string code)
    {
        _server.Answer = _ => new RpcResponse { DeleteImage = new DeleteImageResponse { Error = error } };
        var refused = await Assert.ThrowsAnyAsync<RuntaraException>(() => _client.DeleteImageAsync("m", "t"));
        Assert.Equal((code, error), (refused.Code, refused.Message));
    }

    [Fact]
    public async Task A_hard_error_keeps_its_code()
    {
        var error = new RpcError { Code = ErrorCodes.ListImages, Message = "Database error: gone" };
        _server.Answer = _ => new RpcResponse { Error = error };
        var failed = await Assert.ThrowsAsync<RuntaraException>(() => _client.ListImagesAsync());
        Assert.Equal((error.Code, error.Message), (failed.Code, failed.Message));
    }

    [Fact]
    public async Task A_reply_of_another_arm_is_refused()
    {
        _server.Answer = _ => new RpcResponse { ListImages = new ListImagesResponse() };
        var failed = await Assert.ThrowsAsync<RuntaraException>(() => _client.HealthAsync());
        Assert.Equal("UNEXPECTED_REPLY", failed.Code);
    }

    [Fact]
    public async Task A_start_carries_all_it_was_given()
    {
        _server.Answer = _ => Started("i-1");
        var start = new InstanceStart("m", "t")
        {
            InstanceId = "i-1",
            Input = Encoding.UTF8.GetBytes("{}"),
            Timeout = TimeSpan.FromSeconds(1.5),
            Environment = new Dictionary<string, string> { ["A"] = "b" },
        };

        Assert.Equal("i-1", await _client.StartInstanceAsync(start));

        var sent = _server.Requests.Single().StartInstance;
        Assert.Equal(("m", "t", "i-1", 2u), (sent.ImageId, sent.TenantId, sent.InstanceId, sent.TimeoutSeconds));
        Assert.Equal("b", sent.Env["A"]);
        Assert.Equal("{}", sent.Input.ToStringUtf8());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3_000_000)]
    public async Task An_upload_arrives_whole_with_its_size_and_hash(int bytes)
    {
        _server.Answer = _ => Registered("img");
        var content = new MemoryStream(new byte[bytes]);
        var told = new LastProgress();

        var id = await _client.RegisterImageAsync(new ImageUpload("t", "n") { Description = "d" }, content, told);

        var start = _server.Requests.Single().RegisterImageStream;
        Assert.Equal("img", id);
        Assert.Equal(((ulong)bytes, "t", "n", "d"), (start.BinarySize, start.TenantId, start.Name, start.Description));
        Assert.Equal((bytes, start.Sha256), _server.Uploaded);
        Assert.Equal(bytes, told.Value);
    }

    [Fact]
    public async Task A_server_that_refuses_an_upload_early_is_heard()
    {
        _server.RefusesUploads = true;
        var refusal = new RegisterImageResponse { Error = "name: too long" };
        _server.Answer = _ => new RpcResponse { RegisterImage = refusal };

        var refused = await Assert.ThrowsAsync<RuntaraException>(
            () => _client.RegisterImageAsync(new ImageUpload("t", "n"), new MemoryStream(new byte[20_000_000])));

        Assert.Equal(("REGISTER_FAILED", "name: too long"), (refused.Code, refused.Message));
    }

    [Fact]
    public async Task A_file_that_is_not_there_is_named()
    {
        var missing = await Assert.ThrowsAsync<RuntaraConfigurationException>(
            () => _client.RegisterImageAsync(new ImageUpload("t", "n"), "/no/such/file"));
        Assert.Contains("/no/such/file", missing.Message);
    }

    [Fact]
    public async Task Waiting_ends_with_the_first_final_status()
    {
        var asked = 0;
        _server.Answer = _ => Status(++asked < 4 ? 2 : 4);

        var info = await _client.WaitAsync("i", TimeSpan.FromMilliseconds(1));

        Assert.Equal((InstanceStatus.Completed, 4), (info.Status, asked));
    }

    [Fact]
    public async Task Waiting_ends_at_its_deadline()
    {
        _server.Answer = _ => Status(2);
        await Assert.ThrowsAsync<WaitDeadlineException>(
            () => _client.WaitAsync("i", TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(30)));
    }

    [Fact]
    public async Task Waiting_goes_on_while_the_server_says_that_its_trouble_may_pass()
    {
        var asked = 0;
        var error = new RpcError { Code = "E", Message = $"Database error: away; {ErrorCodes.SafeToRepeat}" };
        _server.Answer = _ => ++asked < 5 ? new RpcResponse { Error = error } : Status(4);

        var info = await _client.WaitAsync("i", TimeSpan.FromMilliseconds(1));

        Assert.Equal((InstanceStatus.Completed, 5), (info.Status, asked));
    }

    [Fact]
    public async Task Waiting_ends_at_its_deadline_though_the_server_is_silent()
    {
        _server.Answer = _ => null;
        var begun = TimeProvider.System.GetTimestamp();
        await Assert.ThrowsAsync<WaitDeadlineException>(
            () => _client.WaitAsync("i", deadline: TimeSpan.FromMilliseconds(100)));
        Assert.InRange(TimeProvider.System.GetElapsedTime(begun), TimeSpan.Zero, TimeSpan.FromSeconds(8));
    }

    internal static RpcResponse Started(string id) =>
        new() { StartInstance = new StartInstanceResponse { Success = true, InstanceId = id } };

    internal static RpcResponse Registered(string id) =>
        new() { RegisterImage = new RegisterImageResponse { Success = true, ImageId = id } };

    internal static RpcResponse Status(int status) => new()
    {
        GetInstanceStatus = new GetInstanceStatusResponse
        {
            Found = true,
            InstanceId = "i",
            Status = (Protocol.Environments.InstanceStatus)status,
        },
    };

    private sealed class LastProgress : IProgress<long>
    {
        internal long Value { get; private set; } = -1;

        public void Report(long value) => Value = value;
    }
}
