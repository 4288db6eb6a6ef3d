using System.CommandLine;
using System.Globalization;

namespace Runtara.Cli.Commands;

internal static class HealthCommand
{
    internal static IEnumerable<Command> All(Cli cli)
    {
        var command = new Command("health", "Whether the server is well, its version and its load.");
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var health = await client.HealthAsync(ct);
            output.Print(health, Json.Readable.HealthStatus, h => Output.Facts(
                ("healthy", h.Healthy ? "yes" : "no"),
                ("version", h.Version),
                ("uptime", TimeSpan.FromMilliseconds(h.UptimeMs).ToString(@"d\.hh\:mm\:ss", CultureInfo.InvariantCulture)),
                ("active instances", h.ActiveInstances.ToString(CultureInfo.InvariantCulture))));
            return health.Healthy ? ExitCode.Ok : ExitCode.Refused;
        }, ct));
        yield return command;
    }
}
