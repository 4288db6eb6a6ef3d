namespace Runtara.Client.Tests;

public sealed class OptionsTests
{
    [Fact]
    public void Defaults_are_those_of_the_reference_but_for_the_certificate()
    {
        var options = Read([]);
        Assert.Equal(("127.0.0.1:8002", null, false), (options.Server, options.ServerName, options.TrustSystemRoots));
        Assert.Equal((10, 30), (options.ConnectTimeout.TotalSeconds, options.RequestTimeout.TotalSeconds));
        Assert.False(options.SkipCertificateVerification);
    }

    [Theory]
    [InlineData("true", true)]
    [InlineData("TRUE", true)]
    [InlineData("1", true)]
    [InlineData("yes", false)]
    [InlineData("", false)]
    public void Skipping_verification_is_read_as_the_reference_does(string value, bool skips) =>
        Assert.Equal(skips, Read(new() { ["RUNTARA_SKIP_CERT_VERIFICATION"] = value }).SkipCertificateVerification);

    [Fact]
    public void The_certificate_is_a_file_or_the_system()
    {
        Assert.Equal("/c.pem", Read(new() { ["RUNTARA_SERVER_CERT"] = "/c.pem" }).PinnedCertificate);
        var system = Read(new() { ["RUNTARA_SERVER_CERT"] = "system" });
        Assert.Equal((true, null), (system.TrustSystemRoots, system.PinnedCertificate));
    }

    [Fact]
    public void A_time_that_is_no_number_is_named()
    {
        var refused = Assert.Throws<RuntaraConfigurationException>(
            () => Read(new() { ["RUNTARA_REQUEST_TIMEOUT_MS"] = "soon" }));
        Assert.Contains("RUNTARA_REQUEST_TIMEOUT_MS", refused.Message);
    }

    [Theory]
    [InlineData("10.0.0.1:9000", "10.0.0.1", 9000)]
    [InlineData("10.0.0.1", "10.0.0.1", 8002)]
    [InlineData("runtara.example.org:1", "runtara.example.org", 1)]
    [InlineData("[::1]:9000", "::1", 9000)]
    [InlineData("[::1]", "::1", 8002)]
    [InlineData("::1", "::1", 8002)]
    public void An_address_is_a_host_and_a_port(string text, string host, int port) =>
        Assert.Equal(new ServerAddress(host, port), ServerAddress.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData(":8002")]
    [InlineData("host:")]
    [InlineData("host:0")]
    [InlineData("host:65536")]
    [InlineData("host:x")]
    public void What_is_no_address_is_refused(string text) =>
        Assert.Throws<RuntaraConfigurationException>(() => ServerAddress.Parse(text));

    private static RuntaraClientOptions Read(Dictionary<string, string> variables) =>
        RuntaraClientOptions.FromEnvironment(variables.GetValueOrDefault);
}
