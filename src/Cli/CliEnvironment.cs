using Spectre.Console;

namespace Runtara.Cli;

/// <summary>What a command may touch of the process around it.</summary>
internal sealed record CliEnvironment(
    TextReader Input, TextWriter Output, TextWriter Error, bool IsInteractive, Func<string, string?> Variable)
{
    /// <summary>Wide enough for ids to stay on one line when the output is a pipe or a file.</summary>
    private const int PipeWidth = 240;

    internal static CliEnvironment OfProcess() => new(
        Console.In,
        Console.Out,
        Console.Error,
        !Console.IsErrorRedirected && !Console.IsOutputRedirected,
        Environment.GetEnvironmentVariable);

    /// <summary>Tables go here.</summary>
    internal IAnsiConsole Screen() => ConsoleOn(Output);

    /// <summary>Progress goes here, so that the output stays clean.</summary>
    internal IAnsiConsole Margin() => ConsoleOn(Error);

    private IAnsiConsole ConsoleOn(TextWriter writer)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = IsInteractive ? AnsiSupport.Detect : AnsiSupport.No,
            Interactive = IsInteractive ? InteractionSupport.Detect : InteractionSupport.No,
        });
        if (!IsInteractive)
            console.Profile.Width = PipeWidth;
        return console;
    }
}
