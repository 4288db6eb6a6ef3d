using Runtara.Runner.Native;

namespace Runtara.Runner.Containers;

/// <summary>Ends a running container, whichever daemon started it.</summary>
internal sealed class ContainerStop(ContainerHost host, string container, Supervisor supervisor)
{
    private static readonly TimeSpan KillTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RecordTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SignalRetry = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// SIGTERM, until it has ended or the token says kill. A program that has not come up yet cannot be signalled, so
    /// the signal is repeated until it took.
    /// </summary>
    internal async Task TerminateAsync(Task ended, CancellationToken kill)
    {
        while (!kill.IsCancellationRequested && !await SignalAsync(Libc.SigTerm))
        {
            if (await host.EndsAsync(ended, SignalRetry, kill))
                return;
        }
        await host.EndsAsync(ended, Timeout.InfiniteTimeSpan, kill);
    }

    /// <summary>
    /// SIGKILL: to the program, else to everything below the supervisor, so that it writes down the end, else to the
    /// supervisor too.
    /// </summary>
    internal async Task KillAsync(Task ended)
    {
        if (await SignalAsync(Libc.SigKill) && await host.EndsAsync(ended, RecordTimeout, default))
            return;
        if (supervisor.Id is not { } id || ProcessTable.Find(id) is not { } process)
            return;
        await ProcessTable.KillAsync(ProcessTable.Descendants(id, ProcessTable.All()), host.Time, KillTimeout);
        // A child of ours stays a zombie until its thread has reaped it, which is dead enough.
        if (!await host.EndsAsync(ended, RecordTimeout, default))
            await ProcessTable.KillTreeAsync(process, host.Time, KillTimeout);
    }

    private async Task<bool> SignalAsync(int signal)
    {
        if (host.Options.NetworkMode != NetworkMode.Pasta)
            return host.Crun.Knows(container) && await host.Crun.SignalAsync(container, signal);
        // Inside pasta's process namespace crun knows other numbers than ours.
        if (supervisor.Id is not { } id)
            return false;
        var below = ProcessTable.Descendants(id, ProcessTable.All());
        var crun = below.FirstOrDefault(p => p.Name == Path.GetFileName(host.Options.CrunPath));
        var init = below.FirstOrDefault(p => crun.Id != 0 && p.Parent == crun.Id && p.Name != crun.Name);
        return init.Id != 0 && Libc.Kill(init.Id, signal) == 0;
    }
}
