using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Runner.Files;
using Runtara.Runner.Native;

namespace Runtara.Runner.Containers;

/// <summary>
/// One attempt of one instance, from the first byte fetched to the last process gone. <see cref="RunAsync"/> ends in
/// exactly one report, never in an exception, and only when nothing of the container runs any more.
/// </summary>
internal sealed class ContainerRun(ContainerHost host, RunnerCommand.Launch launch)
{
    private static readonly TimeSpan KillTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan SignalRetry = TimeSpan.FromMilliseconds(50);
    private readonly string _container = PathNames.OfContainer(launch.Instance.Value);
    private readonly CancellationTokenSource _terminate = new();
    private readonly CancellationTokenSource _kill = new(Timeout.InfiniteTimeSpan, host.Time);
    private readonly Lock _gate = new();
    private long? _killAt;

    /// <summary>SIGTERM now, SIGKILL after the grace; a second call may only shorten it. Works at any time.</summary>
    internal void RequestStop(TimeSpan grace)
    {
        lock (_gate)
        {
            var at = host.Time.GetTimestamp() + (long)(grace.TotalSeconds * host.Time.TimestampFrequency);
            if (_killAt is { } earlier && earlier <= at)
                return;
            _killAt = at;
            if (grace > TimeSpan.Zero)
                _kill.CancelAfter(grace);
            else
                _kill.Cancel();
        }
        _terminate.Cancel();
    }

    internal async Task<InstanceCommand> RunAsync()
    {
        var (instance, attempt) = (launch.Instance, launch.Attempt);
        try
        {
            var report = await LaunchAsync();
            host.Log.Exited(instance.Value, attempt.Number, report.ExitCode, report.Signal);
            return new InstanceCommand.ProcessExited(instance, attempt, report);
        }
        catch (OperationCanceledException) when (_terminate.IsCancellationRequested)
        {
            var report = new ExitReport(null, Libc.SigTerm, false, "", null, null, null);
            return new InstanceCommand.ProcessExited(instance, attempt, report);
        }
        catch (Exception e)
        {
            // Whatever store, door, disk or crun throw, the instance must hear of it.
            var error = e is OperationCanceledException ? "image and input did not arrive in time" : e.Message;
            host.Log.LaunchFailed(instance.Value, attempt.Number, error);
            return new InstanceCommand.LaunchFailed(instance, attempt, error);
        }
    }

    private async Task<ExitReport> LaunchAsync()
    {
        await host.Crun.EnsureDeadAsync(_container);
        var (root, program, input) = await FetchAsync();
        var directory = new RunDirectory(host.Data, launch.Tenant.Value, launch.Instance.Value);
        using var stderr = new StderrLog(directory.Prepare(input.Span), host.Options.StderrBytesMax);
        var door = await host.Door.OpenAsync(
            launch.Instance, launch.Tenant, launch.Attempt, directory.SocketPath, _terminate.Token);
        try
        {
            var settings = new ContainerSettings(
                root, directory.Path, ContainerEnvironment.Of(host.Options, launch, program),
                host.Cgroups.PathFor(_container))
            {
                Program = program,
            };
            directory.WriteConfig(OciSpec.ToBytes(host.Options, settings));
            host.Cgroups.Create(_container);
            using var files = new LaunchFiles(host.Data, _container);
            var exit = await SuperviseAsync(directory, files, stderr);
            await host.Crun.EnsureDeadAsync(_container);
            stderr.Finish();
            return Report(exit, directory, stderr);
        }
        finally
        {
            await CleanUpAsync(directory, door);
        }
    }

    private async Task<(string Root, ImageProgram Program, ReadOnlyMemory<byte> Input)> FetchAsync()
    {
        using var deadline = new CancellationTokenSource(host.Options.PrepareTimeout, host.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, _terminate.Token);
        var input = await host.Inputs.ReadInputAsync(launch.Instance, either.Token);
        var program = await host.Programs.FindAsync(launch.Image, either.Token);
        var root = await host.Images.EnsureAsync(launch.ImageSha256, either.Token);
        return (root, program, input);
    }

    private async Task<ChildExit> SuperviseAsync(RunDirectory directory, LaunchFiles files, StderrLog stderr)
    {
        _terminate.Token.ThrowIfCancellationRequested();
        var command = host.Crun.RunCommand(
            _container, files.Bundle, directory.ConfigPath, files.Log, files.PidFile);
        host.Log.Launching(launch.Instance.Value, launch.Attempt.Number, _container);
        var child = ChildProcess.Start(command[0], [.. command.Skip(1)], stderr.Append)
            ?? throw Crun.Missing(command[0]);
        var late = false;
        if (!await EndsAsync(child, host.Options.LaunchTimeout, _terminate.Token) && !IsStopping)
            late = !files.ContainerCameUp;
        if (!late && !await EndsAsync(child, Timeout.InfiniteTimeSpan, _terminate.Token))
            await TerminateAsync(child);
        if (!child.Exited.IsCompleted)
            await KillAsync(child);
        var exit = await child.Exited;
        if (late)
        {
            throw new RunnerException(
                $"{command[0]} did not start the container within {host.Options.LaunchTimeout.TotalSeconds:0.###} s");
        }
        ThrowIfItNeverRan(exit, files, stderr, command[0]);
        return exit;
    }

    private bool IsStopping => _terminate.IsCancellationRequested;

    // crun's exit code is the program's, or 1 when crun itself failed; it has logged an error only then.
    private void ThrowIfItNeverRan(ChildExit exit, LaunchFiles files, StderrLog stderr, string program)
    {
        var tail = stderr.Tail.Trim();
        var error = files.Error() ?? LaunchFiles.ExecError(tail);
        if (files.ContainerCameUp && (error is null || exit.ExitCode != 1))
            return;
        if (IsStopping)
            throw new OperationCanceledException(_terminate.Token);
        var ending = exit.Signal is { } signal ? $"signal {signal}" : $"exit code {exit.ExitCode}";
        var detail = error ?? (tail.Length > 0 ? tail : "no message");
        throw new RunnerException($"{program} did not start the container ({ending}): {detail}");
    }

    // A program that has not come up yet cannot be signalled, so the signal is repeated until it took.
    private async Task TerminateAsync(ChildProcess child)
    {
        while (!_kill.IsCancellationRequested && !await SignalAsync(child, Libc.SigTerm))
        {
            if (await EndsAsync(child, SignalRetry, _kill.Token))
                return;
        }
        await EndsAsync(child, Timeout.InfiniteTimeSpan, _kill.Token);
    }

    private async Task<bool> SignalAsync(ChildProcess child, int signal)
    {
        if (host.Options.NetworkMode != NetworkMode.Pasta)
            return host.Crun.Knows(_container) && await host.Crun.SignalAsync(_container, signal);
        // Inside pasta's process namespace crun knows other numbers than ours.
        var below = ProcessTable.Descendants(child.Id, ProcessTable.All());
        var crun = below.FirstOrDefault(p => p.Name == Path.GetFileName(host.Options.CrunPath));
        var init = below.FirstOrDefault(p => crun.Id != 0 && p.Parent == crun.Id && p.Name != crun.Name);
        return init.Id != 0 && Libc.Kill(init.Id, signal) == 0;
    }

    private async Task KillAsync(ChildProcess child)
    {
        if (await SignalAsync(child, Libc.SigKill) && await EndsAsync(child, TimeSpan.FromSeconds(2), default))
            return;
        if (ProcessTable.Find(child.Id) is { } process)
        {
            // The child itself stays a zombie until its thread has reaped it, which is dead enough.
            await ProcessTable.KillTreeAsync(process, host.Time, KillTimeout);
        }
    }

    /// <summary>Whether the child ended before the time was up or the token cancelled.</summary>
    private async Task<bool> EndsAsync(ChildProcess child, TimeSpan limit, CancellationToken cancellation)
    {
        try
        {
            await child.Exited.WaitAsync(limit, host.Time, cancellation);
            return true;
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            return child.Exited.IsCompleted;
        }
    }

    private ExitReport Report(ChildExit exit, RunDirectory directory, StderrLog stderr)
    {
        // crun reports a signal as a shell does; what killed crun itself, or pasta, killed the container too. Codes
        // beyond the last signal are the program's: 255 is what returning -1 makes.
        const int signalMax = 64;
        var signal = exit.Signal ?? (exit.ExitCode is > 128 and <= 128 + signalMax ? exit.ExitCode - 128 : null);
        var usage = host.Cgroups.Collect(_container);
        return new ExitReport(
            signal is null ? exit.ExitCode : null, signal, usage?.OutOfMemory ?? false, stderr.Tail,
            ReadOutput(directory), usage?.MemoryPeakBytes, usage?.CpuMicroseconds ?? exit.CpuMicroseconds);
    }

    private RunOutput? ReadOutput(RunDirectory directory)
    {
        var (bytes, problem) = directory.ReadOutput(host.Options.OutputBytesMax);
        RunOutput? output = null;
        if (bytes is { } found)
            (output, problem) = OutputFile.Parse(found);
        if (problem is not null)
            host.Log.OutputIgnored(launch.Instance.Value, launch.Attempt.Number, problem);
        return output;
    }

    private async Task CleanUpAsync(RunDirectory directory, IAsyncDisposable door)
    {
        try
        {
            await host.Crun.EnsureDeadAsync(_container);
            host.Cgroups.Collect(_container);
            await door.DisposeAsync();
            directory.RemoveSocket();
        }
        catch (Exception e)
        {
            // How the program ended must be reported even when something of it cannot be put away.
            host.Log.CleanupFailed(launch.Instance.Value, launch.Attempt.Number, e.Message);
        }
    }
}
