using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.Json;
using Runtara.Client;
using Spectre.Console;

namespace Runtara.Cli.Commands;

internal static class ImageCommands
{
    internal static IEnumerable<Command> All(Cli cli) => [Register(cli), List(cli), Delete(cli)];

    private static Command Register(Cli cli)
    {
        var binary = new Option<FileInfo>("--binary")
        {
            Description = "A static executable, or a root file system as .tar, .tar.gz or .tar.zst.",
            Required = true,
        };
        var tenant = new Option<string>("--tenant") { Description = "Owner of the image.", Required = true };
        var name = new Option<string>("--name") { Description = "Name within the tenant.", Required = true };
        var description = new Option<string?>("--description") { Description = "Text for people." };
        var metadata = new Option<JsonElement?>("--metadata")
        {
            Description = "JSON object: entrypoint (in a tar, default /binary), args, env, cwd, and what you like.",
            CustomParser = ParseMetadata,
        };
        var command = new Command(
            "register", "Uploads a static executable or a tar of a root file system as an image, and prints its id.")
        {
            binary, tenant, name, description, metadata,
        };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var upload = new ImageUpload(parsed.GetRequiredValue(tenant), parsed.GetRequiredValue(name))
            {
                Description = parsed.GetValue(description),
                Metadata = parsed.GetValue(metadata),
            };
            var id = await UploadAsync(client, output, upload, parsed.GetRequiredValue(binary), ct);
            output.Print(new Done { ImageId = id }, id);
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static JsonElement? ParseMetadata(ArgumentResult argument)
    {
        try
        {
            return JsonElement.Parse(argument.Tokens[0].Value);
        }
        catch (JsonException e)
        {
            argument.AddError($"--metadata is not JSON: {e.Message}");
            return null;
        }
    }

    private static Task<string> UploadAsync(
        RuntaraClient client, Output output, ImageUpload upload, FileInfo file, CancellationToken ct)
    {
        if (!output.IsWatched || !file.Exists)
            return client.RegisterImageAsync(upload, file.FullName, null, ct);
        return output.Margin.Progress()
            .AutoClear(true)
            .Columns(
                new TaskDescriptionColumn(), new ProgressBarColumn(), new DownloadedColumn(), new TransferSpeedColumn(),
                new RemainingTimeColumn())
            .StartAsync(progress =>
            {
                var bar = progress.AddTask("Uploading", maxValue: Math.Max(file.Length, 1));
                return client.RegisterImageAsync(upload, file.FullName, new Bar(bar), ct);
            });
    }

    private static Command List(Cli cli)
    {
        var tenant = new Option<string?>("--tenant") { Description = "Only of this tenant." };
        var limit = new Option<uint>("--limit") { Description = "Most rows.", DefaultValueFactory = _ => 100 };
        var offset = new Option<uint>("--offset") { Description = "Rows to skip." };
        var command = new Command("images", "Lists images, newest first.") { tenant, limit, offset };
        command.Aliases.Add("list-images");
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var images = await client.ListImagesAsync(
                parsed.GetValue(tenant), parsed.GetValue(limit), parsed.GetValue(offset), ct);
            output.Print(images, Json.Readable.ListImagesResult, Picture);
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static Table Picture(ListImagesResult images)
    {
        var table = Output.Table("image", "tenant", "name", "created", "description");
        foreach (var i in images.Images)
        {
            table.AddRow(
                Output.Cell(i.ImageId), Output.Cell(i.TenantId), Output.Cell(i.Name),
                Output.Cell(Output.Time(i.CreatedAt)), Output.Cell(i.Description ?? ""));
        }

        return table.Caption($"{images.Images.Count} of {images.TotalCount}");
    }

    private static Command Delete(Cli cli)
    {
        var image = new Argument<string>("image") { Description = "Id of the image." };
        var tenant = new Argument<string>("tenant") { Description = "Owner of the image." };
        var command = new Command("delete-image", "Removes an image that no unfinished instance uses.")
        {
            image, tenant,
        };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var id = parsed.GetRequiredValue(image);
            await client.DeleteImageAsync(id, parsed.GetRequiredValue(tenant), ct);
            output.Print(new Done { ImageId = id }, $"Deleted: {id}");
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private sealed class Bar(ProgressTask task) : IProgress<long>
    {
        public void Report(long value) => task.Value = value;
    }
}
