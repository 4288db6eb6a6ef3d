using System.Diagnostics;
using System.Security.Cryptography;

namespace Runtara.Runner.Tests;

/// <summary>The static program of <c>Programs/probe.c</c>, compiled once for each test run.</summary>
internal static class ProbeProgram
{
    private static readonly Lazy<byte[]> Compiled = new(Compile);

    internal static byte[] Bytes => Compiled.Value;

    internal static string Sha256 => Hash(Bytes);

    internal static string Hash(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static byte[] Compile()
    {
        var source = Path.Combine(AppContext.BaseDirectory, "Programs", "probe.c");
        var target = Path.Combine(Path.GetTempPath(), $"probe-{Guid.NewGuid():N}");
        try
        {
            using var gcc = Process.Start(new ProcessStartInfo("gcc", ["-static", "-O1", "-w", "-o", target, source])
            {
                RedirectStandardError = true,
            })!;
            var errors = gcc.StandardError.ReadToEnd();
            gcc.WaitForExit();
            if (gcc.ExitCode != 0)
                throw new InvalidOperationException($"gcc or libc6-dev is missing or broken: {errors}");
            return File.ReadAllBytes(target);
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InvalidOperationException(
                "these tests need gcc and libc6-dev (apt-get install gcc libc6-dev)", e);
        }
        finally
        {
            File.Delete(target);
        }
    }
}
