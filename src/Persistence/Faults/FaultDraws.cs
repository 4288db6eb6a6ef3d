using System.Data.Common;

namespace Runtara.Persistence.Faults;

/// <summary>A failure made on purpose; callers take it for a lost connection.</summary>
internal sealed class InjectedFaultException(string message) : DbException(message)
{
    public override bool IsTransient => true;
}

/// <summary>Draws what goes wrong with each call, and lets it go wrong.</summary>
internal sealed class FaultDraws(FaultOptions options, TimeProvider time, bool blocks)
{
    private readonly Lock _gate = new();
    private readonly Random _random = new(options.Seed);

    /// <summary>How many calls have failed so far.</summary>
    public int Failed { get; private set; }

    /// <summary>How many of them had been carried out.</summary>
    public int Lost { get; private set; }

    public async ValueTask<T> CallAsync<T>(Func<ValueTask<T>> call, CancellationToken cancellation)
    {
        var (fate, delay) = Draw();
        if (delay > TimeSpan.Zero)
            await PauseAsync(delay, cancellation);
        if (fate == Fate.Before)
            throw new InjectedFaultException("a fault on purpose: the call did not reach the database");
        var result = await call();
        if (fate != Fate.After)
            return result;
        // Nobody else can close what the caller does not get: with a real fault it would not be open.
        if (result is IAsyncDisposable opened)
            await opened.DisposeAsync();
        throw new InjectedFaultException("a fault on purpose: the answer of the database was lost");
    }

    // A blocking database has a thread of its own for its writes; awaiting would move them to the pool.
    private Task PauseAsync(TimeSpan delay, CancellationToken cancellation)
    {
        var pause = Task.Delay(delay, time, cancellation);
        if (blocks)
            pause.GetAwaiter().GetResult();
        return pause;
    }

    private (Fate Fate, TimeSpan Delay) Draw()
    {
        lock (_gate)
        {
            var (lot, delayed) = (_random.NextDouble(), _random.NextDouble() < options.Delayed);
            var delay = delayed ? options.DelayMax * _random.NextDouble() : TimeSpan.Zero;
            if (lot >= options.Before + options.After)
                return (Fate.None, delay);
            Failed++;
            if (lot < options.Before)
                return (Fate.Before, delay);
            Lost++;
            return (Fate.After, delay);
        }
    }

    private enum Fate
    {
        None,
        Before,
        After,
    }
}
