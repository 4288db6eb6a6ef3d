using Microsoft.Win32.SafeHandles;
using Runtara.Runner.Native;

namespace Runtara.Runner.Containers;

/// <summary>
/// The small process above one container that outlives the daemon (D6): it runs crun, keeps standard error within its
/// limit, and writes down the end. It holds a lock on a file for as long as it lives, so any later daemon can tell
/// whether it does, and learns of its end at once, without trusting a process id.
/// </summary>
internal sealed class Supervisor
{
    private const string Resource = "supervise";
    private const int StackBytes = 256 * 1024;
    private readonly LaunchFiles _files;
    private readonly TaskCompletionSource<ChildExit?> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private Supervisor(LaunchFiles files) => _files = files;

    /// <summary>Completes when the supervisor has ended; its own exit is known only to the daemon that started it.
    /// </summary>
    internal Task<ChildExit?> Ended => _ended.Task;

    /// <summary>Its process id; null before it has begun.</summary>
    internal int? Id => _files.SupervisorId();

    /// <summary>Writes the program into the data directory, when it is not there yet; returns its path.</summary>
    internal static string Install(string directory)
    {
        using var resource = typeof(Supervisor).Assembly.GetManifestResourceStream(Resource)!;
        var bytes = new byte[resource.Length];
        resource.ReadExactly(bytes);
        var hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes));
        var path = Path.Combine(directory, $"{Resource}-{hash[..12]}");
        if (File.Exists(path) && File.ReadAllBytes(path).AsSpan().SequenceEqual(bytes))
            return path;
        var partial = path + ".tmp";
        File.WriteAllBytes(partial, bytes);
        File.SetUnixFileMode(partial, Files.Modes.Private);
        File.Move(partial, path, overwrite: true);
        return path;
    }

    /// <summary>Starts a command below a new supervisor.</summary>
    internal static Supervisor Start(
        string program, LaunchFiles files, SafeFileHandle stderr, int stderrBytesMax, IReadOnlyList<string> command)
    {
        using var lockFile = files.OpenLock();
        if (Libc.Lock(lockFile, Libc.LockExclusive | Libc.LockWithoutWaiting) != 0)
            throw new RunnerException($"an earlier launch still has {files.Bundle}");
        string[] arguments = [files.Bundle, stderrBytesMax.ToString(), .. command];
        var error = Spawning.Start(
            program, arguments, (int)stderr.DangerousGetHandle(), (int)lockFile.DangerousGetHandle(), out var id);
        if (error != 0)
            throw new RunnerException($"cannot start {program}: {Libc.Describe(error)}");
        var supervisor = new Supervisor(files);
        supervisor.Follow($"supervisor {id}", () => Spawning.Reap(id));
        return supervisor;
    }

    /// <summary>The supervisor of a launch that an earlier daemon made; null when it lives no more.</summary>
    internal static Supervisor? Find(LaunchFiles files)
    {
        var lockFile = files.OpenLock();
        if (Libc.Lock(lockFile, Libc.LockExclusive | Libc.LockWithoutWaiting) == 0)
        {
            lockFile.Dispose();
            return null;
        }
        var supervisor = new Supervisor(files);
        supervisor.Follow("supervisor", () =>
        {
            using (lockFile)
            {
                while (Libc.Lock(lockFile, Libc.LockExclusive) != 0)
                {
                    // Interrupted by a signal; nothing else can fail here.
                }
            }
            return null;
        });
        return supervisor;
    }

    private void Follow(string name, Func<ChildExit?> wait) =>
        new Thread(() => _ended.SetResult(wait()), StackBytes) { IsBackground = true, Name = name }.Start();
}
