using Microsoft.Win32.SafeHandles;

namespace Runtara.Runner.Files;

/// <summary>
/// <c>{data}/{tenant}/runs/{instance}/</c>, mounted as <c>/data</c> (environment protocol §6.3). Its program may do
/// anything in it, so nothing in it is trusted: see <see cref="SafeDirectory"/>.
/// </summary>
internal sealed class RunDirectory(
    string dataDirectory, IReadOnlyCollection<string> keptNames, string tenant, string instance)
{
    internal string Path { get; } = System.IO.Path.Combine(
        dataDirectory, PathNames.OfTenant(tenant, keptNames), "runs", PathNames.OfInstance(instance));

    internal string SocketPath => System.IO.Path.Combine(Path, "runtara.sock");

    internal string ConfigPath => System.IO.Path.Combine(Path, "config.json");

    /// <summary>Makes the directory ready for a launch; what an earlier attempt reported is gone.</summary>
    internal SafeFileHandle Prepare(ReadOnlySpan<byte> input)
    {
        Directory.CreateDirectory(Path, Modes.Private);
        using var directory = SafeDirectory.Open(Path);
        directory.Remove("output.json");
        directory.Remove("error.json");
        directory.Remove("runtara.sock");
        directory.Write("input.json", input.IsEmpty ? "{}"u8 : input);
        directory.EnsureDirectory("workspace");
        return directory.Create("stderr.log");
    }

    internal void WriteConfig(ReadOnlySpan<byte> config)
    {
        using var directory = SafeDirectory.Open(Path);
        directory.Write("config.json", config);
    }

    internal SafeRead ReadOutput(int bytesMax)
    {
        try
        {
            using var directory = SafeDirectory.Open(Path);
            return directory.Read("output.json", bytesMax);
        }
        catch (IOException e)
        {
            return new SafeRead(null, e.Message);
        }
    }

    /// <summary>The socket's file is of no use after the exit.</summary>
    internal void RemoveSocket()
    {
        using var directory = SafeDirectory.Open(Path);
        directory.Remove("runtara.sock");
    }
}
