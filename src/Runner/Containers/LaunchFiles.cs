using System.Text.Json;
using Runtara.Runner.Files;

namespace Runtara.Runner.Containers;

/// <summary>
/// What crun says about a launch, kept where the workflow cannot write: its log and the pid file, which is there once
/// the container's first process is.
/// </summary>
internal sealed class LaunchFiles : IDisposable
{
    private readonly string _directory;

    internal LaunchFiles(string dataDirectory, string container)
    {
        _directory = Path.Combine(dataDirectory, "launches", container);
        Discard();
        Directory.CreateDirectory(_directory, Modes.Private);
    }

    internal string Bundle => _directory;

    internal string Log => Path.Combine(_directory, "crun.log");

    internal string PidFile => Path.Combine(_directory, "pid");

    internal bool ContainerCameUp => File.Exists(PidFile);

    /// <summary>The last error that crun logged, or null.</summary>
    internal string? Error()
    {
        if (!File.Exists(Log))
            return null;
        string? error = null;
        foreach (var line in File.ReadLines(Log))
            error = ErrorOf(line) ?? error;
        return error;
    }

    /// <summary>
    /// The error of a first process that could not become the program. It has lost sight of the log by then, and
    /// writes the line to the program's standard error.
    /// </summary>
    internal static string? ExecError(string stderr) =>
        stderr.StartsWith("{\"msg\":\"exec container process", StringComparison.Ordinal) && !stderr.Contains('\n')
            ? ErrorOf(stderr) : null;

    /// <inheritdoc />
    public void Dispose() => Discard();

    private static string? ErrorOf(string line)
    {
        try
        {
            using var entry = JsonDocument.Parse(line);
            return entry.RootElement.GetProperty("level").GetString() == "error"
                ? entry.RootElement.GetProperty("msg").GetString() : null;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException)
        {
            return line;
        }
    }

    private void Discard()
    {
        if (Directory.Exists(_directory))
            Directory.Delete(_directory, recursive: true);
    }
}
