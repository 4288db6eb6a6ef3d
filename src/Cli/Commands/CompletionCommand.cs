using System.CommandLine;

namespace Runtara.Cli.Commands;

/// <summary>Scripts that ask the program itself, through System.CommandLine's suggest directive.</summary>
internal static class CompletionCommand
{
    private const string Bash = """
        _runtara() {
            local IFS=$'\n'
            local line="${COMP_LINE#* }" skipped
            skipped=$(( ${#COMP_LINE} - ${#line} ))
            COMPREPLY=($(compgen -W "$(runtara "[suggest:$(( COMP_POINT - skipped ))]" "$line" 2>/dev/null)" \
                -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -o default -F _runtara runtara
        """;

    private const string Zsh = """
        _runtara() {
            local line="${BUFFER#* }"
            compadd -- ${(f)"$(runtara "[suggest:$(( CURSOR - ${#BUFFER} + ${#line} ))]" "$line" 2>/dev/null)"}
        }
        compdef _runtara runtara
        """;

    internal static Command Create(CliEnvironment environment)
    {
        var shell = new Argument<string>("shell") { Description = "bash or zsh." };
        shell.AcceptOnlyFromAmong("bash", "zsh");
        var command = new Command("completion", "Prints a script for completion: eval \"$(runtara completion bash)\".")
        {
            shell,
        };
        command.SetAction(parsed =>
        {
            environment.Output.WriteLine(parsed.GetRequiredValue(shell) == "bash" ? Bash : Zsh);
            return ExitCode.Ok;
        });
        return command;
    }
}
