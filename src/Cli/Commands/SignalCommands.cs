using System.CommandLine;
using System.Text;
using Runtara.Client;

namespace Runtara.Cli.Commands;

internal static class SignalCommands
{
    internal static IEnumerable<Command> All(Cli cli) =>
    [
        Stop(cli),
        Create(cli, "cancel", "Asks an instance to end at its next checkpoint.", "Cancelled",
            (client, id, ct) => client.CancelInstanceAsync(id, "CLI cancel", ct)),
        Create(cli, "pause", "Asks an instance to suspend at its next checkpoint.", "Paused",
            (client, id, ct) => client.PauseInstanceAsync(id, ct)),
        Create(cli, "resume", "Lets a suspended instance go on.", "Resumed",
            (client, id, ct) => client.ResumeInstanceAsync(id, ct)),
        Signal(cli),
    ];

    private static Command Stop(Cli cli)
    {
        var instance = InstanceCommands.InstanceArgument();
        var grace = new Option<uint>("--grace")
        {
            Description = "Seconds to end by itself before it is killed; 0 means 5 too.",
            DefaultValueFactory = _ => 5,
        };
        var reason = new Option<string>("--reason")
        {
            Description = "Text for people, kept as an event.",
            DefaultValueFactory = _ => "",
        };
        var command = new Command("stop", "Ends an instance, by force if it must be.") { instance, grace, reason };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var id = parsed.GetRequiredValue(instance);
            var seconds = TimeSpan.FromSeconds(parsed.GetValue(grace));
            await client.StopInstanceAsync(id, seconds, parsed.GetRequiredValue(reason), ct);
            output.Print(new Done { InstanceId = id }, $"Stopped: {id}");
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static Command Signal(Cli cli)
    {
        var instance = InstanceCommands.InstanceArgument();
        var key = new Argument<string>("key") { Description = "Key that the workflow waits on." };
        var payload = new Argument<string>("payload")
        {
            Description = "Text for the workflow, JSON by custom.",
            DefaultValueFactory = _ => "null",
        };
        var command = new Command("signal", "Sends a workflow what it waits for, now or later.")
        {
            instance, key, payload,
        };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var id = parsed.GetRequiredValue(instance);
            var bytes = Encoding.UTF8.GetBytes(parsed.GetRequiredValue(payload));
            await client.SendCustomSignalAsync(id, parsed.GetRequiredValue(key), bytes, ct);
            output.Print(new Done { InstanceId = id }, $"Signalled: {id}");
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static Command Create(
        Cli cli,
        string name,
        string description,
        string done,
        Func<RuntaraClient, string, CancellationToken, Task> send)
    {
        var instance = InstanceCommands.InstanceArgument();
        var command = new Command(name, description) { instance };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var id = parsed.GetRequiredValue(instance);
            await send(client, id, ct);
            output.Print(new Done { InstanceId = id }, $"{done}: {id}");
            return ExitCode.Ok;
        }, ct));
        return command;
    }
}
