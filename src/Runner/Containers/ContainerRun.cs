using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Runner.Files;

namespace Runtara.Runner.Containers;

/// <summary>
/// One attempt of one instance, from the first byte fetched, or from the launch of an earlier daemon, to the last
/// process gone. <see cref="LaunchAsync"/> and <see cref="AdoptAsync"/> end in exactly one report, never in an
/// exception, and only when nothing of the container runs any more; or in none, when it was left to the next daemon.
/// </summary>
/// <param name="host">What it shares with others.</param>
/// <param name="note">Whose it is.</param>
/// <param name="started">Told when the program is started by this daemon.</param>
internal sealed class ContainerRun(ContainerHost host, LaunchNote note, Action<DateTimeOffset> started)
{
    private const int SigTerm = Native.Libc.SigTerm;
    private readonly CancellationTokenSource _terminate = new();
    private readonly CancellationTokenSource _kill = new(Timeout.InfiniteTimeSpan, host.Time);
    private readonly CancellationTokenSource _leave = new();
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
                _ = _kill.CancelAsync();
        }
        // What follows is not to run on the thread of an actor, which may be waiting for it.
        _ = _terminate.CancelAsync();
    }

    /// <summary>Closes the door and reports nothing; the container stays as it is, for the next daemon.</summary>
    internal void Leave() => _ = _leave.CancelAsync();

    /// <summary>As <see cref="RequestStop"/>, and no later daemon is to learn of this attempt.</summary>
    internal void StopForGood(TimeSpan grace)
    {
        host.Launches.Of(note.Container).Disown();
        RequestStop(grace);
    }

    /// <summary>Starts the container.</summary>
    internal Task<InstanceCommand?> LaunchAsync(RunnerCommand.Launch launch) => ReportAsync(() => StartAsync(launch));

    /// <summary>Takes up the container that an earlier daemon started; null when it has ended meanwhile.</summary>
    internal Task<InstanceCommand?> AdoptAsync(Supervisor? supervisor) => ReportAsync(() => ResumeAsync(supervisor));

    private async Task<InstanceCommand?> ReportAsync(Func<Task<ExitReport>> run)
    {
        var (instance, attempt) = (note.Instance, note.Attempt);
        try
        {
            var report = await run();
            host.Log.Exited(instance.Value, attempt.Number, HowItEnded(report.ExitCode, report.Signal));
            return new InstanceCommand.ProcessExited(instance, attempt, report);
        }
        catch (OperationCanceledException) when (_leave.IsCancellationRequested)
        {
            return null;
        }
        catch (Exception e)
        {
            // Whatever store, door, disk or crun throw, the instance must hear of it; but not while something lives.
            return await IsClearAsync() ? ReportOf(e) : null;
        }
    }

    private async Task<bool> IsClearAsync()
    {
        try
        {
            await host.ClearForSureAsync(note.Container, _leave.Token);
            return true;
        }
        catch (OperationCanceledException) when (_leave.IsCancellationRequested)
        {
            return false;
        }
    }

    private InstanceCommand ReportOf(Exception e)
    {
        var (instance, attempt) = (note.Instance, note.Attempt);
        if (e is OperationCanceledException && IsStopping)
        {
            var report = new ExitReport(null, SigTerm, false, "", null, null, null);
            return new InstanceCommand.ProcessExited(instance, attempt, report);
        }
        var error = e is OperationCanceledException ? "image and input did not arrive in time" : e.Message;
        host.Log.LaunchFailed(instance.Value, attempt.Number, error);
        return new InstanceCommand.LaunchFailed(instance, attempt, error);
    }

    private async Task<ExitReport> StartAsync(RunnerCommand.Launch launch)
    {
        using var used = host.Images.Use(note.ImageSha256);
        await host.ClearAsync(note.Container);
        var (root, program, input) = await FetchAsync(launch);
        var directory = host.DirectoryOf(note);
        using var stderr = directory.Prepare(input.Span);
        await using var end = new Ending(host, note, directory, _leave.Token);
        end.Door = await OpenDoorAsync(directory);
        var settings = new ContainerSettings(
            root, directory.Path, ContainerEnvironment.Of(host.Options, launch, program),
            host.Cgroups.PathFor(note.Container))
        {
            Program = program,
        };
        directory.WriteConfig(OciSpec.ToBytes(host.Options, settings));
        host.Cgroups.Create(note.Container);
        var files = host.Launches.Create(note);
        _leave.Token.ThrowIfCancellationRequested();
        _terminate.Token.ThrowIfCancellationRequested();
        host.Log.Launching(note.Instance.Value, note.Attempt.Number, note.Container);
        var command = host.Crun.RunCommand(
            note.Container, files.Bundle, directory.ConfigPath, files.Log, files.PidFile);
        end.Supervisor = Supervisor.Start(
            host.SupervisorProgram, files, stderr, host.Options.StderrBytesMax, command);
        started(files.CreatedAt);
        return await FollowAsync(end.Supervisor, files);
    }

    private async Task<ExitReport> ResumeAsync(Supervisor? supervisor)
    {
        using var used = host.Images.Use(note.ImageSha256);
        var directory = host.DirectoryOf(note);
        var files = host.Launches.Of(note.Container);
        await using var end = new Ending(host, note, directory, _leave.Token) { Supervisor = supervisor };
        host.Log.Adopted(note.Instance.Value, note.Attempt.Number, note.Container, supervisor is not null);
        if (supervisor is null)
            return await EndOfAsync(files.ReadExit() ?? ExitRecord.Killed, files);
        end.Door = await OpenDoorAsync(directory);
        return await FollowAsync(supervisor, files);
    }

    private async Task<IAsyncDisposable> OpenDoorAsync(RunDirectory directory) => await host.Door.OpenAsync(
        note.Instance, note.Tenant, note.Attempt, directory.SocketPath, _terminate.Token);

    private async Task<(string Root, ImageProgram Program, ReadOnlyMemory<byte> Input)> FetchAsync(
        RunnerCommand.Launch launch)
    {
        using var deadline = new CancellationTokenSource(host.Options.PrepareTimeout, host.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(
            deadline.Token, _terminate.Token, _leave.Token);
        var input = await host.Inputs.ReadInputAsync(launch.Instance, either.Token);
        var program = await host.Programs.FindAsync(launch.Image, either.Token);
        var root = await host.Images.EnsureAsync(launch.ImageSha256, either.Token);
        return (root, program, input);
    }

    private async Task<ExitReport> FollowAsync(Supervisor supervisor, LaunchFiles files)
    {
        var stopping = new ContainerStop(host, note.Container, supervisor);
        var ended = supervisor.Ended.WaitAsync(_leave.Token);
        var late = false;
        if (!await host.EndsAsync(ended, host.Options.LaunchTimeout, _terminate.Token) && !IsStopping)
            late = !files.ContainerCameUp;
        if (!late && !await host.EndsAsync(ended, Timeout.InfiniteTimeSpan, _terminate.Token))
            await stopping.TerminateAsync(ended, _kill.Token);
        if (!ended.IsCompleted)
            await stopping.KillAsync(ended);
        if (await ended is { ExitCode: > 0 and var error } && files.ReadExit() is null)
            throw new RunnerException($"cannot write in {files.Bundle}: {Native.Libc.Describe(error)}");
        if (late)
        {
            throw new RunnerException(
                $"{host.Crun.Program} did not start the container within "
                + $"{host.Options.LaunchTimeout.TotalSeconds:0.###} s{Hint}");
        }
        return await EndOfAsync(files.ReadExit() ?? ExitRecord.Killed, files);
    }

    private string Hint =>
        NetworkModes.Problem(host.Options.NetworkMode, Environment.IsPrivilegedProcess) is { } problem
            ? $"; {problem}"
            : "";

    private bool IsStopping => _terminate.IsCancellationRequested;

    private async Task<ExitReport> EndOfAsync(ExitRecord exit, LaunchFiles files)
    {
        ThrowIfItNeverRan(exit, files);
        await host.Crun.EnsureDeadAsync(note.Container);
        // crun reports a signal as a shell does; what killed crun itself, or pasta, killed the container too. Codes
        // beyond the last signal are the program's: 255 is what returning -1 makes.
        const int signalMax = 64;
        var signal = exit.Signal ?? (exit.ExitCode is > 128 and <= 128 + signalMax ? exit.ExitCode - 128 : null);
        var usage = host.Cgroups.Collect(note.Container);
        return new ExitReport(
            signal is null ? exit.ExitCode : null, signal, usage?.OutOfMemory ?? false, exit.Tail,
            ReadOutput(), usage?.MemoryPeakBytes ?? exit.MemoryPeakBytes,
            usage?.CpuMicroseconds ?? exit.CpuMicroseconds);
    }

    // crun's exit code is the program's, or 1 when crun itself failed. It has logged an error then, but also when it
    // could not clear away what the program left; what only the program writes tells that it ran.
    private void ThrowIfItNeverRan(ExitRecord exit, LaunchFiles files)
    {
        var tail = exit.Tail.Trim();
        var error = files.Error() ?? LaunchFiles.ExecError(tail);
        if (files.ContainerCameUp && (error is null || exit.ExitCode != 1 || ReadOutput() is not null))
            return;
        if (IsStopping)
            throw new OperationCanceledException(_terminate.Token);
        var program = host.Crun.Program;
        if (exit.Error == Native.Libc.Enoent)
            throw Crun.Missing(program);
        if (exit.Error != 0)
            throw new RunnerException($"cannot start {program}: {Native.Libc.Describe(exit.Error)}");
        var detail = error ?? (tail.Length > 0 ? tail : "no message");
        throw new RunnerException(
            $"{program} did not start the container ({HowItEnded(exit.ExitCode, exit.Signal)}): {detail}{Hint}");
    }

    private static string HowItEnded(int? exitCode, int? signal) =>
        signal is not null ? $"signal {signal}" : $"exit code {exitCode}";

    private RunOutput? ReadOutput()
    {
        var (output, problem) = host.ReadOutput(note);
        if (problem is not null)
            host.Log.OutputIgnored(note.Instance.Value, note.Attempt.Number, problem);
        return output;
    }

    /// <summary>Puts away what a run leaves; only closes the door of one that is left to the next daemon.</summary>
    private sealed class Ending(
        ContainerHost host, LaunchNote note, RunDirectory directory, CancellationToken leave) : IAsyncDisposable
    {
        internal IAsyncDisposable? Door { get; set; }

        internal Supervisor? Supervisor { get; set; }

        public async ValueTask DisposeAsync()
        {
            if (leave.IsCancellationRequested && Supervisor is not null)
            {
                await TryAsync(CloseDoorAsync);
                return;
            }
            // What cannot be ended now is ended before a failure is reported.
            await TryAsync(async () => await host.Crun.EnsureDeadAsync(note.Container));
            host.Cgroups.Collect(note.Container);
            await TryAsync(CloseDoorAsync);
            await TryAsync(() =>
            {
                directory.RemoveSocket();
                return ValueTask.CompletedTask;
            });
        }

        // How the program ended must be reported even when something of it cannot be put away.
        private async ValueTask TryAsync(Func<ValueTask> step)
        {
            try
            {
                await step();
            }
            catch (Exception e)
            {
                host.Log.CleanupFailed(note.Instance.Value, note.Attempt.Number, e.Message);
            }
        }

        private ValueTask CloseDoorAsync() => Door?.DisposeAsync() ?? ValueTask.CompletedTask;
    }
}
