using System.Globalization;
using System.Text;
using Runtara.Runner.Native;

namespace Runtara.Runner.Containers;

/// <summary>
/// What a supervisor wrote down of its command's end (<c>Supervisor/supervise.c</c>). The memory peak is that of the
/// largest single process among crun and the container's; CPU time is that of all of them.
/// </summary>
/// <param name="ExitCode">The exit code, when the command exited by itself.</param>
/// <param name="Signal">The signal that ended it, else null.</param>
/// <param name="Error">Not 0: the command could not be executed, and why.</param>
/// <param name="CpuMicroseconds">User and system time.</param>
/// <param name="MemoryPeakBytes">Peak resident memory.</param>
/// <param name="Tail">The last 4 KiB of its standard error as text.</param>
internal sealed record ExitRecord(
    int? ExitCode, int? Signal, int Error, long? CpuMicroseconds, long? MemoryPeakBytes, string Tail)
{
    internal const int TailBytes = 4096;

    /// <summary>A supervisor that was killed wrote nothing down, and its command did not survive it.</summary>
    internal static readonly ExitRecord Killed = new(null, Libc.SigKill, 0, null, null, "");

    internal static ExitRecord Parse(byte[] bytes)
    {
        var end = Array.IndexOf(bytes, (byte)'\n');
        var fields = end < 0 ? [] : Encoding.ASCII.GetString(bytes, 0, end).Split(' ');
        if (fields is not ["1", var code, var signal, var error, var cpu, var peak])
            throw new FormatException("not an exit record");
        var number = Number(signal);
        return new ExitRecord(
            number == 0 ? (int)Number(code) : null, number == 0 ? null : (int)number, (int)Number(error), Number(cpu),
            Number(peak), TailOf(bytes.AsSpan(end + 1)));
    }

    // A character cut in two at the beginning is left out.
    private static string TailOf(ReadOnlySpan<byte> bytes)
    {
        var start = 0;
        while (bytes.Length == TailBytes && start < 4 && (bytes[start] & 0xc0) == 0x80)
            start++;
        return Encoding.UTF8.GetString(bytes[start..]);
    }

    private static long Number(string field) => long.Parse(field, CultureInfo.InvariantCulture);
}
