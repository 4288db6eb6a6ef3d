using System.CommandLine;
using System.Globalization;
using System.Text;
using Runtara.Client;
using Spectre.Console;

namespace Runtara.Cli.Commands;

/// <summary>What an instance has done.</summary>
internal static class QueryCommands
{
    private const int PayloadColumns = 80;
    private static readonly string[] Types = ["started", "completed", "failed", "suspended", "custom"];
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    internal static IEnumerable<Command> All(Cli cli) => [Checkpoints(cli), Checkpoint(cli), Events(cli)];

    private static Command Checkpoints(Cli cli)
    {
        var instance = InstanceCommands.InstanceArgument();
        var key = new Option<string?>("--key") { Description = "Only this key." };
        var since = TimeOption.Create("--since", "Only saved then or later");
        var until = TimeOption.Create("--until", "Only saved before");
        var (limit, offset) = Page();
        var command = new Command("checkpoints", "Lists an instance's checkpoints, newest first.")
        {
            instance, key, since, until, limit, offset,
        };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var filter = new CheckpointFilter(parsed.GetRequiredValue(instance))
            {
                CheckpointId = parsed.GetValue(key),
                CreatedAfter = parsed.GetValue(since),
                CreatedBefore = parsed.GetValue(until),
                Limit = parsed.GetValue(limit),
                Offset = parsed.GetValue(offset),
            };
            var list = await client.ListCheckpointsAsync(filter, ct);
            output.Print(list, Json.Readable.ListCheckpointsResult, Picture);
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static Command Checkpoint(Cli cli)
    {
        var instance = InstanceCommands.InstanceArgument();
        var key = new Argument<string>("key") { Description = "Key of the checkpoint." };
        var command = new Command("checkpoint", "Shows one checkpoint with its value.") { instance, key };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var (id, name) = (parsed.GetRequiredValue(instance), parsed.GetRequiredValue(key));
            var found = await client.GetCheckpointAsync(id, name, ct) ?? throw new RuntaraException(
                "CHECKPOINT_NOT_FOUND", $"Checkpoint '{name}' of instance '{id}' not found",
                "List the instance's checkpoints for their keys.");
            output.Print(found, Json.Readable.Checkpoint, Picture);
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static Command Events(Cli cli)
    {
        var instance = InstanceCommands.InstanceArgument();
        var type = new Option<string?>("--type")
        {
            Description = "Only of this type.", HelpName = string.Join('|', Types),
        };
        type.AcceptOnlyFromAmong(Types);
        var subtype = new Option<string?>("--subtype") { Description = "Only of this subtype." };
        var contains = new Option<string?>("--contains")
        {
            Description = "Only with this text in the payload, in upper or lower case.",
        };
        var since = TimeOption.Create("--since", "Only since then");
        var until = TimeOption.Create("--until", "Only before");
        var (limit, offset) = Page();
        var command = new Command("events", "Lists an instance's events, newest first.")
        {
            instance, type, subtype, contains, since, until, limit, offset,
        };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var filter = new EventFilter(parsed.GetRequiredValue(instance))
            {
                EventType = parsed.GetValue(type),
                Subtype = parsed.GetValue(subtype),
                PayloadContains = parsed.GetValue(contains),
                CreatedAfter = parsed.GetValue(since),
                CreatedBefore = parsed.GetValue(until),
                Limit = parsed.GetValue(limit),
                Offset = parsed.GetValue(offset),
            };
            output.Print(await client.ListEventsAsync(filter, ct), Json.Readable.ListEventsResult, Picture);
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static (Option<uint> Limit, Option<uint> Offset) Page() =>
    (
        new Option<uint>("--limit") { Description = "Most rows.", DefaultValueFactory = _ => 100 },
        new Option<uint>("--offset") { Description = "Rows to skip." });

    private static Table Picture(ListCheckpointsResult list)
    {
        var table = Output.Table("checkpoint", "saved", "bytes");
        foreach (var c in list.Checkpoints)
        {
            table.AddRow(
                Output.Cell(c.CheckpointId), Output.Cell(Output.Time(c.CreatedAt)),
                Output.Cell(c.DataSizeBytes.ToString("N0", CultureInfo.InvariantCulture)));
        }

        return table.Caption($"{list.Checkpoints.Count} of {list.TotalCount}");
    }

    private static Grid Picture(Checkpoint c) => Output.Facts(
        ("checkpoint", c.CheckpointId),
        ("instance", c.InstanceId),
        ("saved", Output.Time(c.CreatedAt)),
        ("bytes", c.Bytes.Length.ToString("N0", CultureInfo.InvariantCulture)),
        ("value", Readable(c.Bytes) ?? "(not text: --json has it in base64)"));

    private static Table Picture(ListEventsResult list)
    {
        var table = Output.Table("id", "happened", "type", "subtype", "checkpoint", "payload");
        foreach (var e in list.Events)
        {
            table.AddRow(
                Output.Cell(e.Id.ToString(CultureInfo.InvariantCulture)), Output.Cell(Output.Time(e.CreatedAt)),
                Output.Cell(e.EventType), Output.Cell(e.Subtype ?? ""), Output.Cell(e.CheckpointId ?? ""),
                Output.Cell(Short(Readable(e.Bytes) ?? $"({e.Bytes.Length} bytes)")));
        }

        return table.Caption($"{list.Events.Count} of {list.TotalCount}");
    }

    private static string Short(string text) =>
        text.Length <= PayloadColumns ? text : string.Concat(text.AsSpan(0, PayloadColumns - 1), "…");

    // What a workflow saved must not steer the terminal.
    private static string? Readable(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            var text = Strict.GetString(bytes.Span);
            return text.Any(c => char.IsControl(c) && c is not ('\n' or '\t' or '\r')) ? null : text;
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }
}
