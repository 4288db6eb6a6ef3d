using CliWrap;
using CliWrap.Buffered;

namespace Runtara.EndToEnd.Tests.Harness;

/// <summary>The test workflow as one static file, published once for a test run.</summary>
public sealed class WorkflowImage : IAsyncLifetime
{
    private static readonly Lazy<Task<string>> Published = new(PublishAsync);

    /// <summary>The executable.</summary>
    public string File { get; private set; } = "";

    /// <inheritdoc />
    public async Task InitializeAsync() => File = await Published.Value;

    /// <inheritdoc />
    public Task DisposeAsync() => Task.CompletedTask;

    private static async Task<string> PublishAsync()
    {
        var project = Path.Combine(Repository.Root, "tests", "EndToEnd.Tests", "Workflow");
        var output = Path.Combine(project, "bin", "publish");
        var published = await Cli.Wrap("dotnet")
            .WithArguments(["publish", project, "-c", "Release", "-o", output, "--nologo", "-v", "quiet"])
            .WithValidation(CommandResultValidation.None)
            .ExecuteBufferedAsync();
        if (published.ExitCode != 0)
            throw new InvalidOperationException($"the test workflow does not publish:\n{published.StandardOutput}");
        return Path.Combine(output, "test-workflow");
    }
}
