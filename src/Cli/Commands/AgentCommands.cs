using System.CommandLine;
using Runtara.Client;
using Spectre.Console;

namespace Runtara.Cli.Commands;

internal static class AgentCommands
{
    internal static IEnumerable<Command> All(Cli cli) => [List(cli), Show(cli), Test(cli)];

    private static Argument<string> AgentArgument() => new("agent") { Description = "Id of the agent." };

    private static Argument<string> CapabilityArgument() => new("capability") { Description = "Id of the capability." };

    private static Command List(Cli cli)
    {
        var tenant = new Option<string?>("--tenant") { Description = "Only what this tenant can use." };
        var command = new Command("agents", "Lists agents that images provide, with their capabilities.") { tenant };
        command.Aliases.Add("list-agents");
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var agents = await client.ListAgentsAsync(parsed.GetValue(tenant), ct);
            output.Print(agents, Json.Readable.IReadOnlyListAgentInfo, Picture);
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static Table Picture(IReadOnlyList<AgentInfo> agents)
    {
        var table = Output.Table("agent", "capability", "side effects", "description");
        foreach (var agent in agents)
        {
            foreach (var c in agent.Capabilities)
            {
                table.AddRow(
                    Output.Cell(agent.Id), Output.Cell(c.Id), Output.Cell(c.HasSideEffects ? "yes" : "no"),
                    Output.Cell(c.Description ?? c.DisplayName ?? ""));
            }
        }

        return table.Caption($"{agents.Count} agents");
    }

    private static Command Show(Cli cli)
    {
        var (agent, capability) = (AgentArgument(), CapabilityArgument());
        var command = new Command("capability", "Shows the inputs of a capability.") { agent, capability };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var (agentId, id) = (parsed.GetRequiredValue(agent), parsed.GetRequiredValue(capability));
            var inputs = await client.GetCapabilityAsync(agentId, id, ct)
                ?? throw new RuntaraException(
                    "CAPABILITY_NOT_FOUND", $"Capability '{id}' of agent '{agentId}' not found",
                    "List the agents for their capabilities.");
            output.Print(inputs, Json.Readable.IReadOnlyListCapabilityField, Picture);
            return ExitCode.Ok;
        }, ct));
        return command;
    }

    private static Table Picture(IReadOnlyList<CapabilityField> inputs)
    {
        var table = Output.Table("input", "type", "required", "default", "example", "description");
        foreach (var i in inputs)
        {
            table.AddRow(
                Output.Cell(i.Name), Output.Cell(i.FieldType), Output.Cell(i.Required ? "yes" : "no"),
                Output.Cell(i.DefaultValue?.GetRawText() ?? ""), Output.Cell(i.Example ?? ""),
                Output.Cell(i.Description ?? i.DisplayName ?? ""));
        }

        return table;
    }

    private static Command Test(Cli cli)
    {
        var (agent, capability) = (AgentArgument(), CapabilityArgument());
        var tenant = new Option<string>("--tenant") { Description = "On whose behalf.", Required = true };
        var input = new Option<string?>("--input") { Description = "Input as JSON, @file, or - for standard input." };
        var connection = new Option<string?>("--connection") { Description = "Connection as JSON or @file." };
        var timeout = new Option<uint>("--timeout")
        {
            Description = "Longest time until its end, in milliseconds.",
            DefaultValueFactory = _ => 30_000,
        };
        var command = new Command("test-capability", "Runs a capability once and shows its result; exits with 0 or 1.")
        {
            agent, capability, tenant, input, connection, timeout,
        };
        command.SetAction((parsed, ct) => cli.WithServerAsync(parsed, async (client, output) =>
        {
            var test = new CapabilityTest(
                parsed.GetRequiredValue(tenant), parsed.GetRequiredValue(agent), parsed.GetRequiredValue(capability))
            {
                Input = await InstanceCommands.InputAsync(parsed.GetValue(input), cli.Environment, ct),
                Connection = await InstanceCommands.InputAsync(parsed.GetValue(connection), cli.Environment, ct),
                Timeout = TimeSpan.FromMilliseconds(parsed.GetValue(timeout)),
            };
            var result = await client.TestCapabilityAsync(test, ct);
            output.Print(result, Json.Readable.CapabilityTestResult, Picture);
            return result.Success ? ExitCode.Ok : ExitCode.Refused;
        }, ct));
        return command;
    }

    private static Grid Picture(CapabilityTestResult result) => Output.Facts(
        ("success", result.Success ? "yes" : "no"),
        ("output", result.Output?.GetRawText()),
        ("error", result.Error),
        ("took", $"{result.ExecutionTimeMs} ms"));
}
