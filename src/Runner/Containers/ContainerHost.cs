using Microsoft.Extensions.Logging;
using Runtara.Actors.Images;
using Runtara.Actors.Runners;
using Runtara.Runner.Files;

namespace Runtara.Runner.Containers;

/// <summary>A launch of an earlier daemon; without a supervisor it has ended, and how is written down.</summary>
internal sealed record EarlierLaunch(LaunchNote Note, DateTimeOffset At, Supervisor? Supervisor);

/// <summary>What all containers of this node share.</summary>
internal sealed class ContainerHost
{
    private static readonly TimeSpan SupervisorEnd = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ClearRetry = TimeSpan.FromSeconds(5);

    internal ContainerHost(
        RunnerOptions options, IInstanceDoor door, IInstanceInputs inputs, IImageStore images, TimeProvider time,
        ILogger log)
    {
        (Door, Inputs, Time, Log) = (door, inputs, time, log);
        Data = Path.GetFullPath(options.DataDirectory);
        Options = options;
        Launches = new LaunchStore(Data);
        Cgroups = Cgroups.Detect(options.CgroupManager, log);
        Crun = new Crun(options, Path.Combine(Data, "crun"), Cgroups.Manager, time, log);
        Images = new ImageCache(
            Path.Combine(Data, "images"), images,
            new ImageLimits(options.ImageUnpackedBytesMax, options.ImageEntriesMax), time, log);
        Programs = new ImagePrograms(images);
    }

    internal RunnerOptions Options { get; }

    internal string Data { get; }

    internal LaunchStore Launches { get; }

    internal IInstanceDoor Door { get; }

    internal IInstanceInputs Inputs { get; }

    internal TimeProvider Time { get; }

    internal ILogger Log { get; }

    internal Cgroups Cgroups { get; }

    internal Crun Crun { get; }

    internal ImageCache Images { get; }

    internal ImagePrograms Programs { get; }

    /// <summary>The supervisor's program, once <see cref="RecoverAsync"/> has written it.</summary>
    internal string SupervisorProgram { get; private set; } = "";

    /// <summary>
    /// Makes the directories, finds the launches of earlier daemons that run or have an exit to report, and ends
    /// everything else that was left.
    /// </summary>
    internal async Task<IReadOnlyList<EarlierLaunch>> RecoverAsync()
    {
        Directory.CreateDirectory(Data);
        Directory.CreateDirectory(Path.Combine(Data, "crun"), Modes.Private);
        Launches.Prepare();
        SupervisorProgram = Supervisor.Install(Launches.Root);
        var found = new List<EarlierLaunch>();
        var lost = new List<LaunchFiles>();
        foreach (var files in Launches.All())
        {
            var note = files.ReadNote();
            var supervisor = note is null ? null : Supervisor.Find(files);
            if (note is not null && (supervisor is { Id: not null } || HasEnded(files, note)))
                found.Add(new EarlierLaunch(note, files.CreatedAt, supervisor));
            else
                lost.Add(files);
        }
        var running = found.Where(l => l.Supervisor is not null).ToList();
        await Crun.SweepAsync(
            [.. running.Select(l => l.Supervisor!.Id ?? 0)], running.Select(l => l.Note.Container).ToHashSet());
        Cgroups.Sweep(found.Select(l => l.Note.Container).ToHashSet());
        lost.ForEach(Launches.Discard);
        Images.Prepare([.. running.Select(l => l.Note.ImageSha256)]);
        return found;
    }

    // A machine that goes down ends every program, and a supervisor writes it down like any other end. The program did
    // not crash, nor did it end by itself, unless it has left a result; and nobody asked it to be cancelled.
    private bool HasEnded(LaunchFiles files, LaunchNote note) => files.ReadExit() is not null
        && (!note.IsOfEarlierBoot || ReadOutput(note).Output is { Status: not RunOutputStatus.Cancelled });

    /// <summary>The result that the program left; else what is wrong with it, when there is one.</summary>
    internal (RunOutput? Output, string? Problem) ReadOutput(LaunchNote note)
    {
        try
        {
            var (bytes, problem) = DirectoryOf(note).ReadOutput(Options.OutputBytesMax);
            return bytes is { } found ? OutputFile.Parse(found) : (null, problem);
        }
        catch (Exception e)
        {
            // The program has ended, whatever it left: that is to be told of it, and not that it was never launched.
            return (null, $"output.json cannot be read: {e.Message}");
        }
    }

    internal RunDirectory DirectoryOf(LaunchNote note) =>
        new(Data, Options.KeptNames, note.Tenant.Value, note.Instance.Value);

    /// <summary>Returns when nothing of the container runs any more and nothing is kept of its launch.</summary>
    internal async Task ClearAsync(string container)
    {
        await EnsureDeadAsync(container);
        Launches.Discard(Launches.Of(container));
    }

    /// <summary>As <see cref="ClearAsync"/>, however often that takes; it ends otherwise only by the token.</summary>
    internal async Task ClearForSureAsync(string container, CancellationToken cancellation)
    {
        while (true)
        {
            try
            {
                await EnsureDeadAsync(container);
                break;
            }
            catch (Exception e)
            {
                // Whatever it is: nothing may follow while something may live.
                Log.CleanupFailed(container, 0, e.Message);
            }
            await Task.Delay(ClearRetry, Time, cancellation);
        }
        Forget(container);
    }

    private async Task EnsureDeadAsync(string container)
    {
        await Crun.EnsureDeadAsync(container);
        var files = Launches.Of(container);
        if (!files.WasStarted || Supervisor.Find(files) is not { } supervisor)
            return;
        if (!await EndsAsync(supervisor.Ended, SupervisorEnd, default))
            await new ContainerStop(this, container, supervisor).KillAsync(supervisor.Ended);
        await supervisor.Ended.WaitAsync(SupervisorEnd, Time);
    }

    /// <summary>Whether the task ended before the time was up or the token cancelled.</summary>
    internal async Task<bool> EndsAsync(Task task, TimeSpan limit, CancellationToken cancellation)
    {
        try
        {
            await task.WaitAsync(limit, Time, cancellation);
            return true;
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            return task.IsCompleted;
        }
    }

    /// <summary>Discards what is kept of a launch; nothing of it runs.</summary>
    internal void Forget(string container)
    {
        try
        {
            Launches.Discard(Launches.Of(container));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The next launch of the instance, or the next daemon, tries again.
            Log.CleanupFailed(container, 0, e.Message);
        }
    }
}
