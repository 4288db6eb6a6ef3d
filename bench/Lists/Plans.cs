using System.Text;

namespace Runtara.Bench.Lists;

/// <summary>Takes the plans out of a server log in which auto_explain wrote.</summary>
internal static class Plans
{
    public static string Of(string log)
    {
        var text = new StringBuilder();
        foreach (var entry in log.Split("plan:\n").Skip(1))
        {
            // The statement comes first, indented by tabs like the plan, which begins with its costs.
            var lines = entry.Split('\n').TakeWhile(l => l.StartsWith('\t')).Select(l => l[1..].TrimEnd()).ToList();
            var plan = lines.SkipWhile(l => !l.Contains("(cost=", StringComparison.Ordinal));
            text.Append("```\n").AppendJoin('\n', plan).Append("\n```\n");
        }
        return text.ToString();
    }
}
