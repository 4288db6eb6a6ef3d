namespace Runtara.Sdk;

/// <summary>
/// The daemon takes an attempt that waits in a sleep for idle when it asks nothing for a while, heartbeats aside, and
/// gives up its container: no harm to a workflow that only sleeps, the end of a step that runs beside the sleep. While
/// there are both, this looks for signals every now and then, which says that work goes on.
/// </summary>
internal sealed class Awake : IDisposable
{
    private readonly InstanceCalls _calls;
    private readonly WorkflowOptions _options;
    private readonly Signals _signals;
    private readonly CancellationTokenSource _end = new();
    private readonly CancellationToken _ended;

    // Under _lock.
    private readonly Lock _lock = new();
    private int _steps, _sleeps;
    private bool _asking;

    internal Awake(InstanceCalls calls, WorkflowOptions options, Signals signals)
    {
        (_calls, _options, _signals) = (calls, options, signals);
        _ended = _end.Token;
    }

    /// <summary>Whether a sleep is all that the workflow is known to be in.</summary>
    internal bool IsAsleep
    {
        get
        {
            lock (_lock)
                return _sleeps > 0 && _steps == 0;
        }
    }

    /// <summary>From now until the result is disposed a step runs.</summary>
    internal Stay Step() => Begin(new Stay(this, 1, 0));

    /// <summary>From now until the result is disposed a sleep is waited in.</summary>
    internal Stay Sleep() => Begin(new Stay(this, 0, 1));

    private Stay Begin(Stay stay)
    {
        lock (_lock)
        {
            (_steps, _sleeps) = (_steps + stay.Steps, _sleeps + stay.Sleeps);
            if (_asking || !IsStepBesideSleep || _options.AwakeInterval <= TimeSpan.Zero)
                return stay;
            _asking = true;
        }

        _ = AskAsync();
        return stay;
    }

    private void End(Stay stay)
    {
        lock (_lock)
            (_steps, _sleeps) = (_steps - stay.Steps, _sleeps - stay.Sleeps);
    }

    private bool IsStepBesideSleep => _steps > 0 && _sleeps > 0;

    private async Task AskAsync()
    {
        using var timer = new PeriodicTimer(_options.AwakeInterval, _options.Time);
        try
        {
            while (await timer.WaitForNextTickAsync(_ended) && GoesOn())
                await AskOnceAsync();
        }
        catch (OperationCanceledException)
        {
            // The run is over.
        }
    }

    private bool GoesOn()
    {
        lock (_lock)
            return _asking = IsStepBesideSleep;
    }

    /// <summary>For no longer than until the next one is due: a daemon that comes back hears the sleep and then, at
    /// once, that work goes on, not only when the pause after many failures is over.</summary>
    private async Task AskOnceAsync()
    {
        using var due = new CancellationTokenSource(_options.AwakeInterval, _options.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(due.Token, _ended);
        try
        {
            _signals.Note((await _calls.PollSignalsAsync(null, either.Token)).Signal);
        }
        catch (Exception unheard) when (unheard is IOException or WorkflowException
            || (unheard is OperationCanceledException && !_ended.IsCancellationRequested))
        {
            // The next one follows soon.
        }
    }

    public void Dispose()
    {
        _end.Cancel();
        _end.Dispose();
    }

    /// <summary>Ends when it is disposed, once.</summary>
    internal readonly struct Stay(Awake awake, int steps, int sleeps) : IDisposable
    {
        internal int Steps { get; } = steps;

        internal int Sleeps { get; } = sleeps;

        public void Dispose() => awake.End(this);
    }
}
