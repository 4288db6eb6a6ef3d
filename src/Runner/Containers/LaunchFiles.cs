using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Runtara.Runner.Native;

namespace Runtara.Runner.Containers;

/// <summary>
/// What must be known of a launch, kept where the workflow cannot write: whose it is, what crun logged, the pid file,
/// which is there once the container's first process is, and in the end how it ended. They stay until the end is in
/// the journal, or until the next launch of the instance.
/// </summary>
internal sealed class LaunchFiles
{
    private const string NoteName = "launch.json";
    private const string ExitName = "exit";
    private const string PidName = "pid";
    private const string SupervisorName = "supervisor";
    private const string LogName = "crun.log";
    private const string LockName = "lock";

    // Where the supervisor writes the record before it renames it.
    private const string PartialExitName = "exit.tmp";

    // The note first: without it the rest means nothing.
    private static readonly string[] Emptied = [NoteName, SupervisorName, PidName, LogName, PartialExitName];

    internal LaunchFiles(string directory) => Bundle = directory;

    internal string Bundle { get; }

    internal string Log => Path.Combine(Bundle, LogName);

    internal string PidFile => Path.Combine(Bundle, PidName);

    internal bool ContainerCameUp => new FileInfo(PidFile) is { Exists: true, Length: > 0 };

    /// <summary>Whether a supervisor was started here, or was about to be.</summary>
    internal bool WasStarted => File.Exists(Path.Combine(Bundle, LockName));

    private string Note => Path.Combine(Bundle, NoteName);

    /// <summary>When the note was written, which is when the container was started.</summary>
    internal DateTimeOffset CreatedAt => File.GetLastWriteTimeUtc(Note);

    /// <summary>Says whose launch it is. Written last: with it the launch exists.</summary>
    internal void WriteNote(LaunchNote note) => File.WriteAllBytes(Note, note.ToBytes());

    /// <summary>Whose launch it is; null when that cannot be told, or must not be.</summary>
    internal LaunchNote? ReadNote()
    {
        try
        {
            var note = LaunchNote.Parse(File.ReadAllBytes(Note));
            return note.Container == Path.GetFileName(Bundle) ? note : null;
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
            return ExitRecord.Parse(File.ReadAllBytes(Path.Combine(Bundle, ExitName)));
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
            return int.TryParse(File.ReadAllText(Path.Combine(Bundle, SupervisorName)), out var id) ? id : null;
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
        var descriptor = Libc.Open(Path.Combine(Bundle, LockName), flags, 0x180);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw new IOException($"cannot open the lock of {Bundle}");
    }

    /// <summary>Whether a supervisor lives.</summary>
    internal bool IsLocked()
    {
        if (!WasStarted)
            return false;
        using var file = OpenLock();
        return Libc.Lock(file, Libc.LockExclusive | Libc.LockWithoutWaiting) != 0;
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

    /// <summary>
    /// Makes everything as in a new directory, but keeps the files; false, with the note gone, when there is something
    /// that no launch leaves.
    /// </summary>
    internal bool TryEmpty()
    {
        foreach (var path in Emptied.Select(name => Path.Combine(Bundle, name)).Where(File.Exists))
            File.OpenHandle(path, FileMode.Truncate, FileAccess.Write, FileShare.ReadWrite).Dispose();
        var exit = Path.Combine(Bundle, ExitName);
        if (File.Exists(exit))
            File.Move(exit, Path.Combine(Bundle, PartialExitName), overwrite: true);
        return Directory.GetFileSystemEntries(Bundle).Select(Path.GetFileName)
            .All(name => name == LockName || Emptied.Contains(name));
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
