using System.Globalization;
using Runtara.Actors.Images;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Containers;

/// <summary>
/// A workflow's environment: a search path, the image's variables, the caller's, then ours; later ones win (§6.2).
/// </summary>
internal static class ContainerEnvironment
{
    internal static IReadOnlyList<string> Of(
        RunnerOptions options, RunnerCommand.Launch launch, ImageProgram program)
    {
        var ours = Ours(options, launch);
        var theirs = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in program.Environment.Concat(launch.Environment))
            theirs[name] = value;
        foreach (var (name, _) in ours)
            theirs.Remove(name);
        theirs.Remove("PATH", out var path);
        return
        [
            $"PATH={path ?? "/usr/bin"}", .. theirs.Select(v => $"{v.Key}={v.Value}"),
            .. ours.Select(v => $"{v.Name}={v.Value}"),
        ];
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
