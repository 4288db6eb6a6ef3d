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
            _server.Options() with { RequestTimeout = TimeSpan.FromSeconds(1) });
        var answer = _server.Answer;
        _server.Answer = r => r.ListImages is null ? answer(r) : null;

        var silent = Assert.ThrowsAsync<RuntaraTimeoutException>(() => client.ListImagesAsync());
        Assert.True((await client.HealthAsync()).Healthy);

        Assert.Contains("ListImages", (await silent).Message);
    }

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
