using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Runtara.Actors.Instances;
using Runtara.Runner.Files;
using Runtara.Runner.Native;

namespace Runtara.Runner.Containers;

/// <summary>Whose container this is; on disk in <c>launch.json</c>, for the next daemon.</summary>
internal sealed record LaunchNote(InstanceId Instance, TenantId Tenant, Attempt Attempt)
{
    internal string Container { get; } = PathNames.OfContainer(Instance.Value);

    internal byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string>
    {
        ["instance"] = Instance.Value,
        ["tenant"] = Tenant.Value,
        ["attempt"] = Attempt.Number.ToString(System.Globalization.CultureInfo.InvariantCulture),
    });

    internal static LaunchNote Parse(byte[] bytes)
    {
        var fields = JsonSerializer.Deserialize<Dictionary<string, string>>(bytes)!;
        return new LaunchNote(
            new InstanceId(fields["instance"]), new TenantId(fields["tenant"]),
            new Attempt(int.Parse(fields["attempt"], System.Globalization.CultureInfo.InvariantCulture)));
    }
}

/// <summary>
/// What must be known of a launch, kept where the workflow cannot write: whose it is, what crun logged, the pid file,
/// which is there once the container's first process is, and in the end how it ended. They stay until the end is in
/// the journal, or until the next launch of the instance.
/// </summary>
internal sealed class LaunchFiles
{
    private LaunchFiles(string directory) => Bundle = directory;

    internal string Bundle { get; }

    internal string Log => Path.Combine(Bundle, "crun.log");

    internal string PidFile => Path.Combine(Bundle, "pid");

    internal bool ContainerCameUp => File.Exists(PidFile);

    private string Note => Path.Combine(Bundle, "launch.json");

    internal static string Root(string data) => Path.Combine(data, "launches");

    internal static LaunchFiles Of(string data, string container) => new(Path.Combine(Root(data), container));

    /// <summary>All that are on disk.</summary>
    internal static IReadOnlyList<LaunchFiles> All(string data) =>
        [.. Directory.GetDirectories(Root(data)).Select(d => new LaunchFiles(d))];

    /// <summary>The files of a new launch; those of an earlier one are gone.</summary>
    internal static LaunchFiles Create(string data, LaunchNote note)
    {
        var files = Of(data, note.Container);
        files.Discard();
        Directory.CreateDirectory(files.Bundle, Modes.Private);
        File.WriteAllBytes(files.Note, note.ToBytes());
        return files;
    }

    /// <summary>Whose launch it is; null when that cannot be told, or must not be.</summary>
    internal LaunchNote? ReadNote()
    {
        try
        {
            return LaunchNote.Parse(File.ReadAllBytes(Note));
        }
        catch (Exception e) when (e is IOException or JsonException or KeyNotFoundException or FormatException)
        {
            return null;
        }
    }

    /// <summary>No later daemon is to take this launch up: to it the attempt will have vanished.</summary>
    internal void Disown()
    {
        if (Directory.Exists(Bundle))
            File.Delete(Note);
    }

    /// <summary>How the command ended; null when that is not written down.</summary>
    internal ExitRecord? ReadExit()
    {
        try
        {
            return ExitRecord.Parse(File.ReadAllBytes(Path.Combine(Bundle, "exit")));
        }
        catch (Exception e) when (e is IOException or FormatException)
        {
            return null;
        }
    }

    /// <summary>The process id of the supervisor; null before it has begun.</summary>
    internal int? SupervisorId()
    {
        try
        {
            return int.TryParse(File.ReadAllText(Path.Combine(Bundle, "supervisor")), out var id) ? id : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>The file that a living supervisor has locked.</summary>
    internal SafeFileHandle OpenLock()
    {
        var flags = Libc.OpenReadWrite | Libc.OpenCreate | Libc.OpenCloseOnExec;
        var descriptor = Libc.Open(Path.Combine(Bundle, "lock"), flags, 0x180);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw new IOException($"cannot open the lock of {Bundle}");
    }

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

    internal void Discard()
    {
        if (Directory.Exists(Bundle))
            Directory.Delete(Bundle, recursive: true);
    }

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
}
