namespace Runtara.EndToEnd.Tests;

/// <summary>What a test workflow wrote into its workspace, and what must be true of it.</summary>
internal sealed class WorkflowLog(IReadOnlyList<string> lines)
{
    public static WorkflowLog Read(string runDirectory) =>
        new(File.ReadAllLines(Path.Combine(runDirectory, "workspace", "log")));

    public int Attempts => lines.Count(l => l.StartsWith("begin ", StringComparison.Ordinal));

    public bool Overlapped => lines.Contains("overlap");

    public bool Has(string line) => lines.Contains(line);

    /// <summary>Steps that ran after their checkpoint had been acknowledged.</summary>
    public IEnumerable<string> RunAgainAfterAck()
    {
        var acknowledged = new HashSet<string>();
        foreach (var line in lines)
        {
            if (line.Split(' ') is ["ack", var acked])
                acknowledged.Add(acked);
            else if (line.Split(' ') is ["run", var run] && acknowledged.Contains(run))
                yield return run;
        }
    }
}
