using System.Runtime.InteropServices;

namespace Runtara.Runner.Native;

/// <summary>Starts processes, and waits for them.</summary>
internal static unsafe class Spawning
{
    private const short SetDefaultAndMask = 0x4 | 0x8;
    private const short SetSession = 0x80;

    /// <summary>
    /// Starts a program with nothing to read, standard output discarded, no other open file and default signal
    /// handling. With <paramref name="kept"/>, which it gets as descriptor 3, it also has a session of its own: no
    /// terminal, and no signal to our group, reaches it. Returns an error number, or 0.
    /// </summary>
    internal static int Start(string file, IReadOnlyList<string> arguments, int stderr, int? kept, out int id)
    {
        // Opaque structures; glibc needs 80, 336 and 128 bytes, musl less.
        var actions = stackalloc byte[256];
        var attributes = stackalloc byte[512];
        var signals = stackalloc byte[128];
        Libc.InitActions(actions);
        Libc.InitAttributes(attributes);
        using var argv = new NativeStrings([file, .. arguments]);
        using var envp = new NativeStrings(CurrentEnvironment());
        try
        {
            Libc.AddOpen(actions, 0, "/dev/null", Libc.OpenReadOnly, 0);
            Libc.AddOpen(actions, 1, "/dev/null", Libc.OpenReadWrite, 0);
            Libc.AddDuplicate(actions, stderr, 2);
            if (kept is { } descriptor)
                Libc.AddDuplicate(actions, descriptor, 3);
            new Span<byte>(signals, 128).Clear();
            Libc.SetSignalMask(attributes, signals);
            new Span<byte>(signals, 128).Fill(0xff);
            Libc.SetDefaultSignals(attributes, signals);
            Libc.SetFlags(attributes, kept is null ? SetDefaultAndMask : (short)(SetDefaultAndMask | SetSession));
            int process;
            var error = Libc.Spawn(&process, file, actions, attributes, argv.Pointer, envp.Pointer);
            id = process;
            return error;
        }
        finally
        {
            Libc.DestroyActions(actions);
            Libc.DestroyAttributes(attributes);
        }
    }

    /// <summary>Blocks until the child has ended.</summary>
    internal static ChildExit Reap(int id)
    {
        int status;
        while (Libc.Wait(id, &status, 0) < 0)
        {
            if (Marshal.GetLastPInvokeError() != Libc.Eintr)
                return new ChildExit(null, null);
        }
        var signal = status & 0x7f;
        return new ChildExit(signal == 0 ? (status >> 8) & 0xff : null, signal == 0 ? null : signal);
    }

    private static IEnumerable<string> CurrentEnvironment()
    {
        var variables = Environment.GetEnvironmentVariables();
        return variables.Keys.Cast<string>().Select(key => $"{key}={variables[key]}");
    }
}
