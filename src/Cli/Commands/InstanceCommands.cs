using System.CommandLine;
using System.Text;
using System.Text.Json;
using Runtara.Client;
using Spectre.Console;

namespace Runtara.Cli.Commands;

internal static class InstanceCommands
{
    internal static IEnumerable<Command> All(Cli cli) => [Start(cli), Status(cli), Wait(cli), List(cli)];

    private static readonly string[] Statuses =
        [.. Enum.GetValues<InstanceStatus>().Where(s => s != InstanceStatus.Unknown).Select(Output.Name)];

    internal static Argument<string> InstanceArgument() => new("instance") { Description = "Id of the instance." };

    private static Command Start(Cli cli)
    {
        var image = new Option<string>("--image") { Description = "Id of the image to run.", Required = true };
        var tenant = new Option<string>("--tenant") { Description = "Owner of the image.", Required = true };
        var input = new Option<string?>("--input") { Description = "Input as JSON, @file, or - for standard input." };
        var id = new Option<string?>("--instance-id")
        {
            Description = "Id to use; the same start with the same id starts nothing again. Default: a new one.",
        };
        var timeout = new Option<uint?>("--timeout") { Description = "Running time of one attempt, in seconds." };
        var env = new Option<string[]>("--env") { Description = "NAME=value for every attempt; may be repeated." };
        var command = new Command("start", "Starts an instance and prints its id.")
        {
            image, tenant, input, id, timeout, env,
        };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var started = await client.StartInstanceAsync(
                new InstanceStart(parsed.GetRequiredValue(image), parsed.GetRequiredValue(tenant))
                {
                    InstanceId = parsed.GetValue(id),
                    Input = await InputAsync(parsed.GetValue(input), cli.Environment, ct),
                    Timeout = parsed.GetValue(timeout) is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
                    Environment = Variables(parsed.GetValue(env) ?? []),
                },
                ct);
            output.Print(new Done { InstanceId = started }, started);
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static Command Status(Cli cli)
    {
        var instance = InstanceArgument();
        var command = new Command("status", "Shows everything about an instance.") { instance };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var info = await client.GetInstanceStatusAsync(parsed.GetRequiredValue(instance), ct);
            output.Print(info, Json.Readable.InstanceInfo, Picture);
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static Command Wait(Cli cli)
    {
        var instance = InstanceArgument();
        var poll = new Option<uint>("--poll")
        {
            Description = "Milliseconds between the first questions; grows to 5 s.",
            DefaultValueFactory = _ => 500,
        };
        var deadline = new Option<uint?>("--deadline")
        {
            Description = "Longest wait, in seconds; the last question may take one more. Default: for ever.",
        };
        var command = new Command("wait", "Waits until an instance is final and shows it; exits with 0, 4, 5 or 6.")
        {
            instance, poll, deadline,
        };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var id = parsed.GetRequiredValue(instance);
            TimeSpan? longest = parsed.GetValue(deadline) is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
            try
            {
                var every = TimeSpan.FromMilliseconds(Math.Max(parsed.GetValue(poll), 1));
                var info = await WaitAsync(client, output, id, every, longest, ct);
                output.Print(info, Json.Readable.InstanceInfo, Picture);
                return info.Status switch
                {
                    InstanceStatus.Completed => ExitCode.Ok,
                    InstanceStatus.Failed => ExitCode.InstanceFailed,
                    _ => ExitCode.InstanceCancelled,
                };
            }
            catch (WaitDeadlineException late)
            {
                output.Failure(late);
                return ExitCode.Deadline;
            }
        }, ct));
        return command;
    }

    private static Task<InstanceInfo> WaitAsync(
        RuntaraClient client, Output output, string id, TimeSpan poll, TimeSpan? deadline, CancellationToken ct)
    {
        if (!output.IsWatched)
            return client.WaitAsync(id, poll, deadline, null, ct);
        return output.Margin.Status().StartAsync($"{Markup.Escape(id)}", status =>
            client.WaitAsync(id, poll, deadline, new Spinner(status, id), ct));
    }

    private static Command List(Cli cli)
    {
        var tenant = new Option<string?>("--tenant") { Description = "Only of this tenant." };
        var status = new Option<InstanceStatus?>("--status")
        {
            Description = "Only in this status.",
            HelpName = string.Join('|', Statuses),
        };
        status.CompletionSources.Clear();
        status.CompletionSources.Add(Statuses);
        var image = new Option<string?>("--image") { Description = "Only of this image." };
        var limit = new Option<uint>("--limit") { Description = "Most rows.", DefaultValueFactory = _ => 100 };
        var offset = new Option<uint>("--offset") { Description = "Rows to skip." };
        var command = new Command("list", "Lists instances, newest first.") { tenant, status, image, limit, offset };
        command.Aliases.Add("list-instances");
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var filter = new InstanceFilter
            {
                TenantId = parsed.GetValue(tenant),
                Status = parsed.GetValue(status),
                ImageId = parsed.GetValue(image),
                Limit = parsed.GetValue(limit),
                Offset = parsed.GetValue(offset),
            };
            var list = await client.ListInstancesAsync(filter, ct);
            output.Print(list, Json.Readable.ListInstancesResult, Picture);
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static Table Picture(ListInstancesResult list)
    {
        var table = Output.Table("instance", "tenant", "image", "status", "created", "finished");
        foreach (var i in list.Instances)
        {
            table.AddRow(
                Output.Cell(i.InstanceId), Output.Cell(i.TenantId), Output.Cell(i.ImageId), Output.Colored(i.Status),
                Output.Cell(Output.Time(i.CreatedAt)), Output.Cell(Output.Time(i.FinishedAt) ?? ""));
        }

        return table.Caption($"{list.Instances.Count} of {list.TotalCount}");
    }

    private static Grid Picture(InstanceInfo i) => Output.Facts(
        ("instance", i.InstanceId),
        ("status", Output.Name(i.Status)),
        ("image", $"{i.ImageName} ({i.ImageId})"),
        ("tenant", i.TenantId),
        ("created", Output.Time(i.CreatedAt)),
        ("started", Output.Time(i.StartedAt)),
        ("finished", Output.Time(i.FinishedAt)),
        ("last heard", Output.Time(i.HeartbeatAt)),
        ("last checkpoint", i.CheckpointId),
        ("retries", $"{i.RetryCount} of {i.MaxRetries}"),
        ("memory peak", i.MemoryPeakBytes is { } bytes ? $"{bytes / 1048576.0:0.0} MiB" : null),
        ("processor time", i.CpuUsageUsec is { } usec ? $"{usec / 1000.0:0.0} ms" : null),
        ("input", i.Input?.GetRawText()),
        ("output", i.Output?.GetRawText()),
        ("error", i.Error),
        ("stderr", i.Stderr));

    /// <summary>JSON that is given as such, as @file, or as - for standard input; empty when it is not given.</summary>
    internal static async Task<ReadOnlyMemory<byte>> InputAsync(
        string? given, CliEnvironment environment, CancellationToken ct)
    {
        try
        {
            var text = given switch
            {
                null => "",
                "-" => await environment.Input.ReadToEndAsync(ct),
                ['@', .. var path] => await File.ReadAllTextAsync(path, ct),
                _ => given,
            };
            if (text.Length > 0)
                JsonDocument.Parse(text).Dispose();
            return Encoding.UTF8.GetBytes(text);
        }
        catch (Exception unusable) when (unusable is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new RuntaraConfigurationException(
                $"Invalid input JSON: {unusable.Message}", "Give JSON, @file or - to --input.", unusable);
        }
    }

    private static Dictionary<string, string> Variables(string[] given)
    {
        var variables = new Dictionary<string, string>();
        foreach (var pair in given)
        {
            var equals = pair.IndexOf('=');
            if (equals < 1)
                throw new RuntaraConfigurationException($"'{pair}' is not NAME=value.", "Give --env NAME=value.");
            variables[pair[..equals]] = pair[(equals + 1)..];
        }

        return variables;
    }

    private sealed class Spinner(StatusContext status, string id) : IProgress<InstanceInfo>
    {
        public void Report(InstanceInfo value) => status.Status($"{Markup.Escape(id)}: {Output.Name(value.Status)}");
    }
}
