using System.Globalization;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Containers;

/// <summary>A workflow's environment: a search path, the caller's variables, then ours, which win (§6.2).</summary>
internal static class ContainerEnvironment
{
    internal static IReadOnlyList<string> Of(RunnerOptions options, RunnerCommand.Launch launch)
    {
        var ours = Ours(options, launch);
        var names = ours.Select(v => v.Name).ToHashSet();
        var callers = launch.Environment.Where(v => !names.Contains(v.Key)).OrderBy(v => v.Key, StringComparer.Ordinal);
        var all = new List<string>();
        if (!launch.Environment.ContainsKey("PATH"))
            all.Add("PATH=/usr/bin");
        all.AddRange(callers.Select(v => $"{v.Key}={v.Value}"));
        all.AddRange(ours.Select(v => $"{v.Name}={v.Value}"));
        return all;
    }

    private static List<(string Name, string Value)> Ours(RunnerOptions options, RunnerCommand.Launch launch)
    {
        List<(string Name, string Value)> ours =
        [
            ("RUNTARA_INSTANCE_ID", launch.Instance.Value),
            ("RUNTARA_TENANT_ID", launch.Tenant.Value),
            ("RUNTARA_SERVER_ADDR", options.ServerAddress),
            ("RUNTARA_WORKSPACE_DIR", "/data/workspace"),
            ("RUNTARA_SOCKET", "/data/runtara.sock"),
            ("RUNTARA_ATTEMPT", launch.Attempt.Number.ToString(CultureInfo.InvariantCulture)),
        ];
        if (launch.CheckpointId is { } checkpoint)
            ours.Add(("RUNTARA_CHECKPOINT_ID", checkpoint));
        if (options.SkipCertificateVerification)
            ours.Add(("RUNTARA_SKIP_CERT_VERIFICATION", "true"));
        if (options.ConnectionServiceUrl is { } url)
            ours.Add(("CONNECTION_SERVICE_URL", url));
        return ours;
    }
}
