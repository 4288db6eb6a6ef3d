using System.Text.Json.Serialization.Metadata;

namespace Runtara.Sdk;

/// <summary>Entry point of a workflow program.</summary>
public static class Workflow
{
    /// <summary>
    /// Registers with the daemon, runs <paramref name="body"/> and reports how it ended. The whole of a program's
    /// <c>Main</c>: <c>return await Workflow.RunAsync(...)</c>.
    /// </summary>
    /// <typeparam name="TInput">Shape of the input.</typeparam>
    /// <typeparam name="TOutput">Shape of the output.</typeparam>
    /// <param name="body">The workflow. What it returns is the output; what it throws is the error, except
    /// <see cref="WorkflowCancelledException"/>, <see cref="WorkflowPausedException"/> and
    /// <see cref="DaemonLostException"/>.</param>
    /// <param name="input">How the input is read.</param>
    /// <param name="output">How the output is written.</param>
    /// <param name="options">Default: <see cref="WorkflowOptions.FromEnvironment"/>.</param>
    /// <returns>One of <see cref="WorkflowExitCode"/>, whatever the body, the daemon or the connection do. What throws
    /// is options that cannot be: a socket's path longer than the system allows, a log that cannot be written.
    /// </returns>
    public static async Task<int> RunAsync<TInput, TOutput>(
        Func<WorkflowContext, TInput, Task<TOutput>> body,
        JsonTypeInfo<TInput> input,
        JsonTypeInfo<TOutput> output,
        WorkflowOptions? options = null)
    {
        try
        {
            options ??= WorkflowOptions.FromEnvironment();
        }
        catch (WorkflowException missing)
        {
            await Console.Error.WriteLineAsync(missing.Message);
            return WorkflowExitCode.NotRegistered;
        }

        using var run = new WorkflowRun<TInput, TOutput>(body, input, output, options);
        return await run.RunAsync();
    }
}
