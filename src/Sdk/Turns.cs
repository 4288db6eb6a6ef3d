namespace Runtara.Sdk;

/// <summary>Work of two kinds: any number of the one go together, each of the other goes alone. First come, first
/// served.</summary>
internal sealed class Turns
{
    // Held by whoever is alone, and for a moment by each of the others that comes in.
    private readonly SemaphoreSlim _door = new(1, 1);

    // Under _lock.
    private readonly Lock _lock = new();
    private TaskCompletionSource? _empty;
    private int _inside;

    internal async Task<T> TogetherAsync<T>(Func<Task<T>> work, CancellationToken ct)
    {
        await _door.WaitAsync(ct);
        lock (_lock)
            _inside++;
        _door.Release();
        try
        {
            return await work();
        }
        finally
        {
            Leave();
        }
    }

    internal async Task<T> AloneAsync<T>(Func<Task<T>> work, CancellationToken ct)
    {
        await _door.WaitAsync(ct);
        try
        {
            await Emptied().WaitAsync(ct);
            return await work();
        }
        finally
        {
            _door.Release();
        }
    }

    private Task Emptied()
    {
        lock (_lock)
        {
            _empty = _inside == 0 ? null : new(TaskCreationOptions.RunContinuationsAsynchronously);
            return _empty?.Task ?? Task.CompletedTask;
        }
    }

    private void Leave()
    {
        lock (_lock)
        {
            if (--_inside == 0)
                _empty?.TrySetResult();
        }
    }
}
