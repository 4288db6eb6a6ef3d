using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Runtara.Client;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Runtara.Cli;

/// <summary>Prints results for people or for programs.</summary>
internal sealed class Output(CliEnvironment environment, bool json)
{
    /// <summary>Whether somebody watches, who would like to see progress.</summary>
    internal bool IsWatched => environment.IsInteractive && !json;

    internal IAnsiConsole Margin => environment.Margin();

    internal void Print<T>(T value, JsonTypeInfo<T> type, Func<T, IRenderable> picture)
    {
        if (json)
            environment.Output.WriteLine(JsonSerializer.Serialize(value, type));
        else
            environment.Screen().Write(picture(value));
    }

    /// <summary>One line for people, so that shells can take an id from it.</summary>
    internal void Print(Done done, string line) =>
        environment.Output.WriteLine(json ? JsonSerializer.Serialize(done, Json.Readable.Done) : Shown(line));

    internal void Failure(RuntaraException failure)
    {
        if (json)
        {
            var record = new Failure(failure.Code, failure.Message, failure.Remedy);
            environment.Error.WriteLine(JsonSerializer.Serialize(record, Json.Readable.Failure));
            return;
        }

        environment.Error.WriteLine($"Error: {Shown(failure.Message)}");
        if (failure.Remedy is { } remedy)
            environment.Error.WriteLine($"       {Shown(remedy)}");
    }

    internal static Table Table(params ReadOnlySpan<string> columns)
    {
        var table = new Table().Border(TableBorder.Simple);
        foreach (var column in columns)
            table.AddColumn(new TableColumn(column).NoWrap());
        return table;
    }

    /// <summary>Names on the left, values on the right; values that are not there are left out.</summary>
    internal static Grid Facts(params ReadOnlySpan<(string Name, string? Value)> facts)
    {
        var grid = new Grid().AddColumn(new GridColumn().NoWrap()).AddColumn();
        foreach (var (name, value) in facts)
        {
            if (value is not null)
                grid.AddRow(Cell(name), Cell(value));
        }

        return grid;
    }

    internal static Text Cell(string text) => new(Shown(text));

    /// <summary>Text of a server or a workflow must not steer the terminal: of the control characters only line ends
    /// and tabs stay, the others show as their symbols.</summary>
    private static string Shown(string text)
    {
        if (!text.Any(char.IsControl))
            return text;
        return string.Concat(text.ReplaceLineEndings("\n").Select(c => c switch
        {
            '\n' or '\t' => c,
            < ' ' => (char)('\u2400' + c),
            '\u007f' => '\u2421',
            _ => char.IsControl(c) ? '\ufffd' : c,
        }));
    }

    internal static Text Colored(InstanceStatus status) => new(Name(status), status switch
    {
        InstanceStatus.Completed => new Style(Color.Green),
        InstanceStatus.Failed => new Style(Color.Red),
        InstanceStatus.Running => new Style(Color.Blue),
        InstanceStatus.Suspended or InstanceStatus.Cancelled => new Style(Color.Yellow),
        _ => Style.Plain,
    });

    internal static string Name(InstanceStatus status) => status.ToString().ToLowerInvariant();

    internal static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    internal static string? Time(DateTimeOffset? time) => time is { } there ? Time(there) : null;
}
