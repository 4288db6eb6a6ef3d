using System.Collections.Concurrent;
using System.Text;
using Runtara.Actors.Runners;

namespace Runtara.Edge.Tests.Harness;

/// <summary>
/// The port to tests of capabilities: remembers what was asked, and ends as the test says, by tenant.
/// </summary>
internal sealed class RecordingCapabilities : ICapabilityRunner
{
    private readonly ConcurrentDictionary<string, CapabilityOutcome> _outcomes = new();
    private readonly ConcurrentQueue<CapabilityTest> _tests = new();

    public void Answer(string tenant, CapabilityOutcome outcome) => _outcomes[tenant] = outcome;

    /// <summary>An exit with this <c>output.json</c>, after 12 ms.</summary>
    public void Answer(string tenant, RunOutputStatus status, string? result = null, string? error = null) =>
        Answer(tenant, Exited(new RunOutput(
            status, result is null ? default : Encoding.UTF8.GetBytes(result), error, null, null)));

    public static CapabilityOutcome Exited(
        RunOutput? output, int? code = 0, int? signal = null, bool outOfMemory = false, string stderr = "",
        bool timedOut = false) => new CapabilityOutcome.Exited(
        new ExitReport(code, signal, outOfMemory, stderr, output, null, null), timedOut,
        TimeSpan.FromMilliseconds(12));

    public IReadOnlyList<CapabilityTest> TestsOf(string tenant) => [.. _tests.Where(t => t.Tenant.Value == tenant)];

    public ValueTask<CapabilityOutcome> RunAsync(CapabilityTest test, CancellationToken cancellation)
    {
        _tests.Enqueue(test);
        return ValueTask.FromResult(_outcomes[test.Tenant.Value]);
    }
}
