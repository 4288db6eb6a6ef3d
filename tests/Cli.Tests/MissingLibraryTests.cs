using System.Diagnostics;

namespace Runtara.Cli.Tests;

public sealed class MissingLibraryTests
{
    [Fact]
    public async Task Without_the_QUIC_library_the_error_says_what_to_install()
    {
        // The system's linker meets this file first and goes no further.
        var folder = Directory.CreateTempSubdirectory("runtara-cli-").FullName;
        File.WriteAllText(Path.Combine(folder, "libngtcp2.so.16"), "no library");
        var start = new ProcessStartInfo("dotnet", [typeof(Cli).Assembly.Location, "health", "--insecure"])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            Environment = { ["LD_LIBRARY_PATH"] = folder },
        };

        using var child = Process.Start(start)!;
        var output = child.StandardOutput.ReadToEndAsync();
        var error = await child.StandardError.ReadToEndAsync();
        await child.WaitForExitAsync();
        Directory.Delete(folder, recursive: true);

        Assert.Equal(ExitCode.Unreachable, child.ExitCode);
        Assert.Contains("apt-get install libngtcp2-crypto-gnutls8", error, StringComparison.Ordinal);
        Assert.DoesNotContain("TypeInitializationException", error, StringComparison.Ordinal);
        Assert.Empty(await output);
    }
}
