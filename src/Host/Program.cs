using System.CommandLine;
using Akka.Configuration;
using Runtara.Daemon;
using Runtara.Daemon.Configuration;
using Runtara.Edge.Environments;

var config = new Option<string?>("--config", "-c")
{
    Description = "HOCON file with runtara { … } and, if need be, akka { … }",
    HelpName = "file",
};
var set = new Option<string[]>("--set")
{
    Description = "one setting, e.g. runner.capacity=8; may be repeated; wins over file and environment",
    HelpName = "key=value",
    DefaultValueFactory = _ => [],
};
var check = new Option<bool>("--check") { Description = "check the configuration, print what is in effect, and exit" };
var root = new RootCommand(
    $"runtarad {EnvironmentRequests.Version}: registers workflow images, runs their instances, remembers everything.")
{
    config, set, check,
};
root.SetAction(async (parsed, cancellation) =>
{
    DaemonConfiguration configuration;
    try
    {
        configuration = DaemonConfiguration.Load(
            parsed.GetValue(config), parsed.GetValue(set)!, Environment.GetEnvironmentVariables(),
            Environment.IsPrivilegedProcess);
    }
    catch (ConfigurationException e)
    {
        await Console.Error.WriteLineAsync($"runtarad: the configuration is not valid\n{e.Message}");
        return ExitCodes.Configuration;
    }
    if (parsed.GetValue(check))
    {
        Console.Out.Write(configuration.Show());
        foreach (var warning in configuration.Warnings)
            await Console.Error.WriteLineAsync($"runtarad: {warning}");
        if (DataDirectory.Problem(configuration.Options.DataDirectory) is { } problem)
        {
            await Console.Error.WriteLineAsync(
                $"runtarad: the configuration is not valid\nruntara.data-directory: {problem}");
            return ExitCodes.Configuration;
        }
        return ExitCodes.Ok;
    }
    return await DaemonHost.RunAsync(configuration, cancellation);
});
// Signals are the daemon's own: a graceful stop takes longer than the command line's two seconds.
return await root.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
