using System.Collections.Concurrent;
using Akka.Actor;
using Microsoft.Extensions.Logging;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Runner.Files;

namespace Runtara.Runner.Capabilities;

/// <summary>
/// Tests of capabilities, as attempts that no instance stands behind: the runner of the node queues, launches and stops
/// them like any other, its reports about them come here (<see cref="ReportRouter"/>), their input comes from here, and
/// they get no socket, because there is nothing that they could report to.
/// </summary>
public sealed class CapabilityRuns(
    RunnerOptions options, IInstanceInputs inputs, IInstanceDoor door, TimeProvider time, ILogger log)
    : ICapabilityRunner, IInstanceInputs, IInstanceDoor
{
    /// <summary>What the ids of their attempts begin with, as in the reference.</summary>
    public const string Prefix = "test-";

    // Beyond the grace: how long the runner may take to report what it killed.
    private static readonly TimeSpan ReportWithin = TimeSpan.FromSeconds(30);
    private static readonly Attempt Only = Attempt.None.Next();
    private readonly ConcurrentDictionary<InstanceId, Run> _runs = new();
    private readonly TaskCompletionSource<IActorRef> _runner =
        new(TaskCreationOptions.RunContinuationsAsynchronously);


    // Taken before there are any of ours.
    private readonly string[] _leftovers = Directory.Exists(NotesIn(options.DataDirectory))
        ? Directory.GetFiles(NotesIn(options.DataDirectory)) : [];

    // One file for each run under way, with its tenant. No tenant's directory begins with a dot.
    private string Notes => NotesIn(options.DataDirectory);

    /// <summary>
    /// The runner of the node. Runs wait until it is known, and what an earlier daemon left of its runs is ended.
    /// </summary>
    internal void UseRunner(IActorRef runner)
    {
        if (!_runner.TrySetResult(runner))
            return;
        foreach (var note in _leftovers)
            _ = EndLeftoverAsync(runner, new InstanceId(Path.GetFileName(note)), note);
    }

    private static string NotesIn(string dataDirectory) => Path.Combine(dataDirectory, ".tests");

    private async Task EndLeftoverAsync(IActorRef runner, InstanceId id, string note)
    {
        var run = _runs[id] = new Run(default);
        try
        {
            var tenant = new TenantId(await File.ReadAllTextAsync(note));
            // Whether or not the runner knows of it, the answer comes when nothing of it runs.
            runner.Tell(new RunnerCommand.Stop(id, Only, TimeSpan.Zero));
            await run.Ended.Task;
            Remove(id, tenant);
        }
        catch (IOException e)
        {
            log.CleanupFailed(id.Value, Only.Number, e.Message);
        }
        finally
        {
            _runs.TryRemove(id, out _);
        }
    }

    /// <inheritdoc />
    public async ValueTask<CapabilityOutcome> RunAsync(CapabilityTest test, CancellationToken cancellation)
    {
        var id = new InstanceId(Prefix + Guid.NewGuid());
        var run = _runs[id] = new Run(test.Input);
        try
        {
            Directory.CreateDirectory(Notes, Modes.Private);
            await File.WriteAllTextAsync(Path.Combine(Notes, id.Value), test.Tenant.Value, cancellation);
            return await RunAsync(id, test, run, cancellation);
        }
        catch (IOException e)
        {
            return new CapabilityOutcome.NotStarted(e.Message);
        }
        finally
        {
            Remove(id, test.Tenant);
            _runs.TryRemove(id, out _);
        }
    }

    private async Task<CapabilityOutcome> RunAsync(
        InstanceId id, CapabilityTest test, Run run, CancellationToken cancellation)
    {
        using var timeout = new CancellationTokenSource(test.Timeout, time);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellation);
        var runner = await _runner.Task.WaitAsync(cancellation);
        try
        {
            runner.Tell(new RunnerCommand.RequestSlot(id, Only, test.Tenant));
            await run.Granted.Task.WaitAsync(over.Token);
        }
        catch (OperationCanceledException)
        {
            runner.Tell(new RunnerCommand.ReleaseSlot(id, Only));
            cancellation.ThrowIfCancellationRequested();
            return new CapabilityOutcome.NoPlace();
        }
        var launched = time.GetTimestamp();
        runner.Tell(new RunnerCommand.Launch(
            id, Only, test.Tenant, test.Image, test.ImageSha256, new Dictionary<string, string>(), null));
        var timedOut = !await EndsAsync(run, over.Token);
        if (timedOut)
            await StopAsync(runner, id, run);
        cancellation.ThrowIfCancellationRequested();
        return !run.Ended.Task.IsCompleted
            ? new CapabilityOutcome.NotStarted("the runner does not say how the program ended")
            : await run.Ended.Task switch
            {
                InstanceCommand.ProcessExited exited =>
                    new CapabilityOutcome.Exited(exited.Report, timedOut, time.GetElapsedTime(launched)),
                InstanceCommand.LaunchFailed failed => new CapabilityOutcome.NotStarted(failed.Error),
                InstanceCommand.AttemptVanished vanished => new CapabilityOutcome.NotStarted(vanished.Reason),
                var other => new CapabilityOutcome.NotStarted($"unexpected report {other.GetType().Name}"),
            };
    }

    private static async Task<bool> EndsAsync(Run run, CancellationToken over)
    {
        try
        {
            await run.Ended.Task.WaitAsync(over);
            return true;
        }
        catch (OperationCanceledException)
        {
            return run.Ended.Task.IsCompleted;
        }
    }

    private async Task StopAsync(IActorRef runner, InstanceId id, Run run)
    {
        runner.Tell(new RunnerCommand.Stop(id, Only, options.StopGrace));
        using var late = new CancellationTokenSource(options.StopGrace + ReportWithin, time);
        await EndsAsync(run, late.Token);
    }

    private void Remove(InstanceId id, TenantId tenant)
    {
        var directoryOfRun = new RunDirectory(options.DataDirectory, options.KeptNames, tenant.Value, id.Value);
        var runs = Path.GetDirectoryName(directoryOfRun.Path)!;
        try
        {
            if (Directory.Exists(runs))
            {
                using var directory = SafeDirectory.Open(runs);
                directory.Remove(PathNames.OfInstance(id.Value));
            }
            File.Delete(Path.Combine(Notes, id.Value));
        }
        catch (IOException e)
        {
            log.CleanupFailed(id.Value, Only.Number, e.Message);
        }
    }

    /// <summary>Takes a report of the runner; false when it is about an instance.</summary>
    internal bool Take(InstanceCommand report)
    {
        if (!_runs.TryGetValue(report.Instance, out var run))
            return false;
        switch (report)
        {
            case InstanceCommand.SlotGranted: run.Granted.TrySetResult(); break;
            case InstanceCommand.LaunchFailed or InstanceCommand.ProcessExited or InstanceCommand.AttemptVanished:
                run.Ended.TrySetResult(report);
                break;
        }
        return true;
    }

    /// <inheritdoc />
    public ValueTask<ReadOnlyMemory<byte>> ReadInputAsync(InstanceId instance, CancellationToken cancellation) =>
        _runs.TryGetValue(instance, out var run)
            ? ValueTask.FromResult(run.Input)
            : inputs.ReadInputAsync(instance, cancellation);

    /// <inheritdoc />
    public ValueTask<IAsyncDisposable> OpenAsync(
        InstanceId instance, TenantId tenant, Attempt attempt, string socketPath, CancellationToken cancellation) =>
        _runs.ContainsKey(instance)
            ? ValueTask.FromResult<IAsyncDisposable>(new NoDoor())
            : door.OpenAsync(instance, tenant, attempt, socketPath, cancellation);

    private sealed class Run(ReadOnlyMemory<byte> input)
    {
        internal ReadOnlyMemory<byte> Input => input;

        internal TaskCompletionSource Granted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal TaskCompletionSource<InstanceCommand> Ended { get; } =
            new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class NoDoor : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
