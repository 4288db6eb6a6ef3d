using System.Diagnostics;

namespace Runtara.Quic.Tests.Interop;

/// <summary>An independent client: Deno, whose QUIC stack is quinn, as in the Rust SDK.</summary>
public sealed class DenoTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("quic-deno-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [NpmTheory]
    [InlineData(500)]
    [InlineData(0)]
    public async Task Quinn_makes_a_thousand_calls_64_at_once(int retryAboveHalfOpen)
    {
        var certificate = QuicCertificate.LoadOrCreateSelfSigned(_directory);
        await using var server = await Loopback.StartAsync(
            configure: o => o with { Certificate = certificate, RetryAboveHalfOpen = retryAboveHalfOpen });
        var deno = await RunAsync("sh", Path.Combine(Repository(), "scripts", "interop", "install-deno.sh"));
        var output = await RunAsync(
            deno, "run", "-A", "--unstable-net", Path.Combine(AppContext.BaseDirectory, "Interop", "echo.mjs"),
            server.Listener.LocalEndPoint.Port.ToString(), Path.Combine(_directory, QuicCertificate.CertificateFile));
        Assert.Equal("ok", output);
        Assert.Equal("runtara", server.Accepted[0].Alpn);
        Assert.Equal(
            new QuicClose(QuicCloseOrigin.Peer, true, 7, "deno is done"),
            await server.Accepted[0].Closed.WaitAsync(Loopback.Patience));
    }

    private static string Repository()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory!.FullName, "global.json")))
            directory = directory.Parent;
        return directory.FullName;
    }

    private static async Task<string> RunAsync(string file, params string[] arguments)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        using var process = Process.Start(new ProcessStartInfo(file, arguments)
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        var error = process.StandardError.ReadToEndAsync(patience.Token);
        var output = await process.StandardOutput.ReadToEndAsync(patience.Token);
        await process.WaitForExitAsync(patience.Token);
        Assert.True(process.ExitCode == 0, $"{file} ended with {process.ExitCode}: {await error}");
        return output.Trim();
    }
}

/// <summary>Skipped where there is no npm to fetch the other side with.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NpmTheoryAttribute : TheoryAttribute
{
    public NpmTheoryAttribute()
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        if (!folders.Any(f => File.Exists(Path.Combine(f, "npm"))))
            Skip = "npm is not installed";
    }
}
