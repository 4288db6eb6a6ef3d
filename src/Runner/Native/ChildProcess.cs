using System.Runtime.InteropServices;

namespace Runtara.Runner.Native;

/// <summary>How a child process ended: by itself or by a signal.</summary>
internal sealed record ChildExit(int? ExitCode, int? Signal);

/// <summary>
/// A short-lived child process whose standard error we read. <see cref="System.Diagnostics.Process"/> does not report
/// the signal that ended a child, and blocks pool threads in reads; this has one small thread for each child,
/// which ends with it.
/// </summary>
internal sealed unsafe class ChildProcess
{
    private const int PollIn = 1;
    private const int StackBytes = 256 * 1024;
    private readonly int _stderr;
    private readonly int _handle;
    private readonly Action<ReadOnlySpan<byte>> _onStderr;
    private readonly TaskCompletionSource<ChildExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ChildProcess(int id, int stderr, int handle, Action<ReadOnlySpan<byte>> onStderr)
    {
        (Id, _stderr, _handle, _onStderr) = (id, stderr, handle, onStderr);
    }

    internal int Id { get; }

    /// <summary>Completes when the process has ended and what it had written to standard error has been read.</summary>
    internal Task<ChildExit> Exited => _exited.Task;

    /// <summary>
    /// Starts <paramref name="file"/>, looked up in <c>PATH</c>, with nothing to read, standard output discarded, no
    /// other open file and default signal handling. Null when there is no such program.
    /// </summary>
    internal static ChildProcess? Start(
        string file, IReadOnlyList<string> arguments, Action<ReadOnlySpan<byte>> onStderr)
    {
        var ends = stackalloc int[2];
        if (Libc.Pipe(ends, Libc.OpenCloseOnExec) != 0)
            throw new IOException($"pipe: {Libc.Describe(Marshal.GetLastPInvokeError())}");
        var error = Spawning.Start(file, arguments, ends[1], null, out var id);
        Libc.Close(ends[1]);
        if (error != 0)
            Libc.Close(ends[0]);
        if (error == Libc.Enoent)
            return null;
        if (error != 0)
            throw new IOException($"cannot start {file}: {Libc.Describe(error)}");
        const int pidfdOpen = 434;
        var handle = (int)Libc.OpenProcess(pidfdOpen, id, 0);
        var child = new ChildProcess(id, ends[0], handle, onStderr);
        new Thread(child.Run, StackBytes) { IsBackground = true, Name = $"child {id}" }.Start();
        return child;
    }

    internal void Kill()
    {
        if (!Exited.IsCompleted)
            Libc.Kill(Id, Libc.SigKill);
    }

    private void Run()
    {
        var buffer = stackalloc byte[16 * 1024];
        var entries = stackalloc PollEntry[2];
        var open = true;
        // A pipe holds 64 KiB. More than that after the end comes from somebody else who has it open still.
        for (var drains = 0; drains < 8; )
        {
            entries[0] = new PollEntry { Descriptor = _handle, Events = PollIn };
            entries[1] = new PollEntry { Descriptor = open ? _stderr : -1, Events = PollIn };
            if (Libc.Poll(entries, 2, -1) < 0)
                continue;
            var ended = entries[0].Returned != 0;
            if (entries[1].Returned != 0)
                open = Read(buffer, 16 * 1024);
            else if (ended)
                break;
            if (ended)
                drains++;
            if (!open && (ended || _handle < 0))
                break;
        }
        Libc.Close(_stderr);
        _exited.SetResult(Spawning.Reap(Id));
        Libc.Close(_handle);
    }

    private bool Read(byte* buffer, int size)
    {
        var count = Libc.Read(_stderr, buffer, size);
        if (count > 0)
            _onStderr(new ReadOnlySpan<byte>(buffer, (int)count));
        return count > 0 || (count < 0 && Marshal.GetLastPInvokeError() == Libc.Eintr);
    }
}
