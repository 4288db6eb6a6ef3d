using CliWrap;
using CliWrap.Buffered;

namespace Runtara.EndToEnd.Tests.Harness;

/// <summary>The test workflow as one static file, published once for a test run.</summary>
public sealed class WorkflowImage : IAsyncLifetime
{
    /// <summary>The executable.</summary>
    public string File { get; private set; } = "";

    /// <inheritdoc />
    public async Task InitializeAsync()
    {
        var project = Path.Combine(Repository.Root, "tests", "EndToEnd.Tests", "Workflow");
        var output = Path.Combine(project, "bin", "publish");
        var published = await Cli.Wrap("dotnet")
            .WithArguments(["publish", project, "-c", "Release", "-o", output, "--nologo", "-v", "quiet"])
            .WithValidation(CommandResultValidation.None)
            .ExecuteBufferedAsync();
        if (published.ExitCode != 0)
            throw new InvalidOperationException($"the test workflow does not publish:\n{published.StandardOutput}");
        File = Path.Combine(output, "test-workflow");
    }

    /// <inheritdoc />
    public Task DisposeAsync() => Task.CompletedTask;
}

/// <summary>Everything that runs a daemon shares one published workflow, and runs one at a time.</summary>
[CollectionDefinition(Name)]
public sealed class DaemonCollection : ICollectionFixture<WorkflowImage>, ICollectionFixture<Databases>
{
    /// <summary>The collection's name.</summary>
    public const string Name = "daemon";
}
