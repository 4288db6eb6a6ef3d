namespace Runtara.Quic.Tests.Interop;

public sealed class DenoTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("quic-deno-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData(500)]
    [InlineData(0)]
    public async Task Quinn_makes_a_thousand_calls_64_at_once(int retryAboveHalfOpen)
    {
        var certificate = QuicCertificate.LoadOrCreateSelfSigned(_directory);
        await using var server = await Loopback.StartAsync(
            configure: o => o with { Certificate = certificate, RetryAboveHalfOpen = retryAboveHalfOpen });
        var output = await Deno.RunAsync(
            Path.Combine(AppContext.BaseDirectory, "Interop", "echo.mjs"),
            server.Listener.LocalEndPoint.Port.ToString(), Path.Combine(_directory, QuicCertificate.CertificateFile));
        Assert.Equal("ok", output);
        Assert.Equal("runtara", server.Accepted[0].Alpn);
        Assert.Equal(
            new QuicClose(QuicCloseOrigin.Peer, true, 7, "deno is done"),
            await server.Accepted[0].Closed.WaitAsync(Loopback.Patience));
    }
}
