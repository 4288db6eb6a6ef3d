using Runtara.Protocol.Environments;

namespace Runtara.Client.Tests;

public sealed class ConnectionTests : IAsyncLifetime
{
    private FakeServer _server = null!;

    public async Task InitializeAsync()
    {
        _server = await FakeServer.StartAsync();
        _server.Answer = _ => new RpcResponse { HealthCheck = new HealthCheckResponse { Healthy = true } };
    }

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Without_a_word_on_certificates_the_error_says_what_to_do()
    {
        var options = _server.Options() with { PinnedCertificate = null };
        var refused = await Assert.ThrowsAsync<RuntaraConfigurationException>(
            () => RuntaraClient.ConnectAsync(options));
        Assert.Contains("RUNTARA_SERVER_CERT", refused.Remedy);
        Assert.Contains("--insecure", refused.Remedy);
    }

    [Fact]
    public async Task Any_certificate_is_accepted_when_verification_is_skipped()
    {
        var options = _server.Options() with { PinnedCertificate = null, SkipCertificateVerification = true };
        await using var client = await RuntaraClient.ConnectAsync(options);
        Assert.True((await client.HealthAsync()).Healthy);
    }

    [Fact]
    public async Task Another_certificate_than_the_pinned_one_is_refused()
    {
        await using var other = await FakeServer.StartAsync();
        var options = _server.Options() with { PinnedCertificate = other.CertificatePath };
        await Assert.ThrowsAsync<RuntaraConnectionException>(() => RuntaraClient.ConnectAsync(options));
    }

    [Fact]
    public async Task A_host_name_is_resolved()
    {
        await using var client = await RuntaraClient.ConnectAsync(
            _server.Options() with { Server = $"localhost:{_server.Address.Port}" });
        Assert.True((await client.HealthAsync()).Healthy);
    }

    [Fact]
    public async Task A_server_that_restarted_is_found_again()
    {
        await using var client = await _server.ConnectAsync();
        await client.HealthAsync();

        await _server.RestartAsync();

        Assert.True((await client.HealthAsync()).Healthy);
    }

    [Fact]
    public async Task A_silent_server_is_a_timeout_and_other_requests_go_on()
    {
        await using var client = await RuntaraClient.ConnectAsync(
            _server.Options() with { RequestTimeout = TimeSpan.FromSeconds(1), ReplyMargin = TimeSpan.Zero });
        var answer = _server.Answer;
        _server.Answer = r => r.ListImages is null ? answer(r) : null;

        var silent = Assert.ThrowsAsync<RuntaraTimeoutException>(() => client.ListImagesAsync());
        Assert.True((await client.HealthAsync()).Healthy);

        Assert.Contains("ListImages", (await silent).Message);
    }

    [Fact]
    public async Task What_the_server_says_when_it_gives_up_is_heard()
    {
        await using var client = await RuntaraClient.ConnectAsync(
            _server.Options() with { RequestTimeout = TimeSpan.FromMilliseconds(200) });
        using var never = new ManualResetEventSlim();
        _server.Answer = _ =>
        {
            never.Wait(TimeSpan.FromMilliseconds(600));
            return Refused("Not carried out within 30 s, because the database is away");
        };

        var refused = await Assert.ThrowsAsync<RuntaraException>(() => client.DeleteImageAsync("m", "t"));

        Assert.Contains("because the database is away", refused.Message);
    }

    [Fact]
    public async Task A_refusal_that_may_pass_is_asked_again_by_reads_and_starts()
    {
        await using var client = await _server.ConnectAsync();
        var fails = 2;
        _server.Answer = r => Interlocked.Decrement(ref fails) >= 0
            ? Refused(Away)
            : r.StartInstance is { } start
                ? RuntaraClientTests.Started(start.InstanceId)
                : new RpcResponse { HealthCheck = new HealthCheckResponse { Healthy = true } };

        Assert.True((await client.HealthAsync()).Healthy);
        fails = 2;
        var id = await client.StartInstanceAsync(new InstanceStart("m", "t"));

        Assert.Equal(3, _server.Requests.Count(r => r.HealthCheck is not null));
        Assert.True(Guid.TryParse(id, out _));
        var starts = _server.Requests.Where(r => r.StartInstance is not null).ToList();
        Assert.Equal([starts[0], starts[0], starts[0]], starts);
    }

    [Fact]
    public async Task A_write_is_sent_once_and_its_refusal_told()
    {
        await using var client = await _server.ConnectAsync();
        _server.Answer = _ => Refused(Away);
        var refused = await Assert.ThrowsAsync<RuntaraException>(() => client.DeleteImageAsync("m", "t"));
        Assert.Equal((Away, 1), (refused.Message, _server.Requests.Count));
    }

    [Fact]
    public async Task A_refusal_is_told_when_the_server_says_nothing_after_it()
    {
        await using var client = await RuntaraClient.ConnectAsync(
            _server.Options() with { RequestTimeout = TimeSpan.FromSeconds(1), ReplyMargin = TimeSpan.Zero });
        var asked = 0;
        _server.Answer = _ => ++asked == 1 ? Refused(Away) : null;
        var refused = await Assert.ThrowsAsync<RuntaraException>(() => client.HealthAsync());
        Assert.Equal(Away, refused.Message);
    }

    [Fact]
    public async Task A_start_of_which_nothing_is_known_names_the_id_to_repeat_it_with()
    {
        await using var client = await RuntaraClient.ConnectAsync(
            _server.Options() with { RequestTimeout = TimeSpan.FromSeconds(1), ReplyMargin = TimeSpan.Zero });
        _server.Answer = _ => null;
        var late = await Assert.ThrowsAsync<RuntaraTimeoutException>(
            () => client.StartInstanceAsync(new InstanceStart("m", "t")));
        Assert.Contains($"'{_server.Requests.First().StartInstance.InstanceId}'", late.Remedy);
    }

    [Fact]
    public async Task A_request_larger_than_a_frame_is_not_sent()
    {
        await using var client = await _server.ConnectAsync();
        var start = new InstanceStart("m", "t") { Input = new byte[65 << 20] };
        var large = await Assert.ThrowsAsync<RequestTooLargeException>(() => client.StartInstanceAsync(start));
        Assert.Equal("TOO_LARGE", large.Code);
        var upload = new ImageUpload("t", "n") { Description = new string('x', 65 << 20) };
        await Assert.ThrowsAsync<RequestTooLargeException>(
            () => client.RegisterImageAsync(upload, new MemoryStream([1])));
        Assert.Empty(_server.Requests);
        Assert.True((await client.HealthAsync()).Healthy);
    }

    private const string Away = "Database error: away; the request can safely be sent again";

    private static RpcResponse Refused(string message) =>
        new() { Error = new RpcError { Code = "SOME_ERROR", Message = message } };

    [Fact]
    public async Task Nobody_at_the_address_is_a_connection_error()
    {
        var options = _server.Options() with { ConnectTimeout = TimeSpan.FromMilliseconds(300) };
        await _server.DisposeAsync();
        var failed = await Assert.ThrowsAnyAsync<RuntaraException>(() => RuntaraClient.ConnectAsync(
            options with { PinnedCertificate = null, SkipCertificateVerification = true }));
        Assert.Equal("CONNECTION", failed.Code);
        _server = await FakeServer.StartAsync();
    }
}
