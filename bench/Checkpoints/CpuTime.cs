using System.Globalization;

namespace Runtara.Bench.Checkpoints;

/// <summary>
/// CPU time that a process and its descendants have used, dead ones included once they are waited for.
/// </summary>
internal static class CpuTime
{
    // USER_HZ, which /proc speaks in, is 100 on every Linux that .NET runs on.
    private const double TicksPerSecond = 100;

    /// <summary>Seconds of user and system time; null for process id 0 or a process that is gone.</summary>
    public static double? OfTree(int pid)
    {
        var processes = ReadAll();
        if (!processes.ContainsKey(pid))
            return null;
        var children = processes.ToLookup(p => p.Value.Parent, p => p.Key);
        var open = new Stack<int>([pid]);
        var ticks = 0L;
        while (open.TryPop(out var at))
        {
            ticks += processes[at].Ticks;
            foreach (var child in children[at])
                open.Push(child);
        }
        return ticks / TicksPerSecond;
    }

    private static Dictionary<int, (int Parent, long Ticks)> ReadAll()
    {
        var processes = new Dictionary<int, (int, long)>();
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), out var pid) && Read(directory) is { } process)
                processes[pid] = process;
        }
        return processes;
    }

    // proc(5): the name in parentheses may contain anything; 14 to 17 are utime, stime, cutime and cstime.
    private static (int Parent, long Ticks)? Read(string directory)
    {
        try
        {
            var stat = File.ReadAllText(Path.Combine(directory, "stat"));
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            var ticks = fields[11..15].Sum(f => long.Parse(f, CultureInfo.InvariantCulture));
            return (int.Parse(fields[1], CultureInfo.InvariantCulture), ticks);
        }
        catch (IOException)
        {
            // It ended meanwhile.
            return null;
        }
    }
}
