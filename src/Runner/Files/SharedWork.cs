namespace Runtara.Runner.Files;

/// <summary>
/// Work that several wait for and nobody owns: who gives up does not end it for the others; the last who does ends it,
/// and waits for that.
/// </summary>
internal sealed class SharedWork
{
    private readonly Lock _gate = new();
    private int _interested;
    private Task _running = Task.CompletedTask;
    private CancellationTokenSource _abandon = new();

    /// <summary>Is interested in it until disposed.</summary>
    internal IAsyncDisposable Enter()
    {
        lock (_gate)
            _interested++;
        return new Interest(this);
    }

    /// <summary>Waits for the work under way, or begins it. Its token is its own.</summary>
    internal Task RunAsync(Func<CancellationToken, Task> work, CancellationToken cancellation)
    {
        lock (_gate)
        {
            if (_running.IsCompleted || _abandon.IsCancellationRequested)
            {
                _abandon = new CancellationTokenSource();
                _running = BeginAsync(_running, work, _abandon.Token);
            }
            return _running.WaitAsync(cancellation);
        }
    }

    // What was given up may have something to put away.
    private static async Task BeginAsync(Task before, Func<CancellationToken, Task> work, CancellationToken abandon)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        await work(abandon);
    }

    private async ValueTask LeaveAsync()
    {
        Task running;
        CancellationTokenSource abandon;
        lock (_gate)
        {
            if (--_interested > 0 || _running.IsCompleted)
                return;
            (running, abandon) = (_running, _abandon);
        }
        await abandon.CancelAsync();
        await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private sealed class Interest(SharedWork work) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => work.LeaveAsync();
    }
}
