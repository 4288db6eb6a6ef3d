using Runtara.Cli;

return await new Cli(CliEnvironment.OfProcess()).RunAsync(args);
