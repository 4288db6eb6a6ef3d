using System.Globalization;
using System.Text;
using Runtara.Runner.Native;

namespace Runtara.Runner.Containers;

/// <summary>A process of <c>/proc</c>. The start time tells it from a later one with the same number.</summary>
internal readonly record struct ProcessEntry(int Id, int Parent, char State, ulong StartTime, string Name)
{
    /// <summary>Whether it runs no more; a zombie has ended and waits for its parent only.</summary>
    internal bool IsDead => State is 'Z' or 'X';
}

/// <summary>Looks at, and ends, processes that are not our children.</summary>
internal static class ProcessTable
{
    internal static ProcessEntry? Find(int id)
    {
        try
        {
            // pid (name) state parent … with the start time as field 22; the name may have spaces and brackets.
            var line = File.ReadAllText($"/proc/{id}/stat");
            var close = line.LastIndexOf(')');
            var fields = line[(close + 2)..].Split(' ');
            return new ProcessEntry(
                id, int.Parse(fields[1], CultureInfo.InvariantCulture), fields[0][0],
                ulong.Parse(fields[19], CultureInfo.InvariantCulture), line[(line.IndexOf('(') + 1)..close]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    internal static List<ProcessEntry> All()
    {
        var all = new List<ProcessEntry>();
        foreach (var path in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(path), out var id) && Find(id) is { } entry)
                all.Add(entry);
        }
        return all;
    }

    /// <summary>The processes below this one, nearest first.</summary>
    internal static List<ProcessEntry> Descendants(int ancestor, IReadOnlyList<ProcessEntry> all)
    {
        var children = all.ToLookup(p => p.Parent);
        var found = new List<ProcessEntry>();
        var next = new Queue<int>([ancestor]);
        while (next.TryDequeue(out var id))
        {
            foreach (var child in children[id])
            {
                found.Add(child);
                next.Enqueue(child.Id);
            }
        }
        return found;
    }

    internal static bool HasArgument(int id, string argument)
    {
        try
        {
            var arguments = File.ReadAllBytes($"/proc/{id}/cmdline");
            return Encoding.UTF8.GetString(arguments).Split('\0').Contains(argument);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    internal static bool IsAlive(ProcessEntry process) =>
        Find(process.Id) is { IsDead: false } now && now.StartTime == process.StartTime;

    internal static void Kill(ProcessEntry process)
    {
        if (IsAlive(process))
            Libc.Kill(process.Id, Libc.SigKill);
    }

    /// <summary>Kills this process and everything below it, again until nothing is left or the time is up.</summary>
    internal static async Task KillTreeAsync(ProcessEntry root, TimeProvider time, TimeSpan limit)
    {
        var all = All();
        List<ProcessEntry> doomed = [.. Descendants(root.Id, all), root];
        await KillAsync(doomed, time, limit);
    }

    internal static async Task KillAsync(IReadOnlyList<ProcessEntry> doomed, TimeProvider time, TimeSpan limit)
    {
        foreach (var process in doomed)
            Kill(process);
        var start = time.GetTimestamp();
        while (doomed.FirstOrDefault(IsAlive) is { Id: > 0 } survivor)
        {
            if (time.GetElapsedTime(start) > limit)
                throw new RunnerException($"process {survivor.Id} ({survivor.Name}) does not end after SIGKILL");
            await Task.Delay(TimeSpan.FromMilliseconds(5), time);
            Kill(survivor);
        }
    }
}
