using System.CommandLine;
using System.CommandLine.Invocation;
using Runtara.Cli.Commands;
using Runtara.Client;

namespace Runtara.Cli;

/// <summary>The command line as a whole: what there is, and how failures end.</summary>
internal sealed class Cli
{
    private readonly CliEnvironment _environment;
    private readonly GlobalOptions _global = new();
    private readonly RootCommand _root;

    internal Cli(CliEnvironment environment)
    {
        _environment = environment;
        _root = new RootCommand($"""
            Manages the images and instances of a Runtara server.

            The server comes from --server or RUNTARA_ENVIRONMENT_ADDR (default 127.0.0.1:8002). Its certificate comes
            from --cert or RUNTARA_SERVER_CERT; --insecure or RUNTARA_SKIP_CERT_VERIFICATION=true accepts any.
            Completion: eval "$(runtara completion bash)" in ~/.bashrc; zsh likewise.

            {ExitCode.Help}
            """);
        _global.AddTo(_root);
        Command[] commands =
        [
            HealthCommand.Create(this), .. ImageCommands.All(this), .. InstanceCommands.All(this),
            .. SignalCommands.All(this), .. QueryCommands.All(this), MetricsCommand.Create(this),
            .. AgentCommands.All(this), CompletionCommand.Create(environment),
        ];
        foreach (var command in commands)
            _root.Add(command);
    }

    internal CliEnvironment Environment => _environment;

    internal async Task<int> RunAsync(string[] args)
    {
        // An @file is an input here, and not a file with more arguments.
        var parsed = _root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Action is ParseErrorAction error)
            error.ShowHelp = args.Length == 0;
        var console = new InvocationConfiguration
        {
            Output = _environment.Output,
            Error = _environment.Error,
            EnableDefaultExceptionHandler = false,
        };
        var exit = await parsed.InvokeAsync(console);
        return parsed.Errors.Count > 0 ? ExitCode.Usage : exit;
    }

    /// <summary>Runs one command on the server and turns what goes wrong into a message and an exit code.</summary>
    internal async Task<int> WithServerAsync(
        ParseResult parsed, Func<RuntaraClient, Output, Task<int>> command, CancellationToken ct)
    {
        var output = new Output(_environment, parsed.GetValue(_global.Json));
        try
        {
            var options = _global.ToClientOptions(parsed, _environment);
            await using var client = await RuntaraClient.ConnectAsync(options, ct);
            return await command(client, output);
        }
        catch (RuntaraException failure)
        {
            output.Failure(failure);
            return failure switch
            {
                RuntaraConfigurationException or RequestTooLargeException => ExitCode.Usage,
                RuntaraConnectionException or RuntaraTimeoutException => ExitCode.Unreachable,
                _ => ExitCode.Refused,
            };
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            return ExitCode.Interrupted;
        }
    }
}
