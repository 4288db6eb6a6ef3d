using System.CommandLine;
using System.Globalization;
using Runtara.Client;
using Spectre.Console;

namespace Runtara.Cli.Commands;

internal static class HealthCommand
{
    internal static Command Create(Cli cli)
    {
        var command = new Command("health", "Whether the server is well, its version and its load.");
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var health = await client.HealthAsync(ct);
            output.Print(health, Json.Readable.HealthStatus, Picture);
            return health.Healthy ? ExitCode.Ok : ExitCode.Refused;
        }, ct));
        return command;
    }

    private static Grid Picture(HealthStatus health) => Output.Facts(
        ("healthy", health.Healthy ? "yes" : "no"),
        ("version", health.Version),
        ("uptime", TimeSpan.FromMilliseconds(health.UptimeMs).ToString(@"d\.hh\:mm\:ss", CultureInfo.InvariantCulture)),
        ("active instances", health.ActiveInstances.ToString(CultureInfo.InvariantCulture)));
}
