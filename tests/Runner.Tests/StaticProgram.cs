using System.Diagnostics;

namespace Runtara.Runner.Tests;

/// <summary>Compiles a file of <c>Programs/</c> to one static executable.</summary>
internal static class StaticProgram
{
    internal static byte[] Compile(string name)
    {
        var source = Path.Combine(AppContext.BaseDirectory, "Programs", name + ".c");
        var target = Path.Combine(Path.GetTempPath(), $"{name}-{Guid.NewGuid():N}");
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
