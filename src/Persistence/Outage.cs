namespace Runtara.Persistence;

/// <summary>How long something has been tried, and how long to wait before the next try.</summary>
internal sealed class Backoff(StoreOptions options)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private readonly long _since = options.Time.GetTimestamp();
    private TimeSpan _pause = FirstPause;

    public bool IsOver => options.Time.GetElapsedTime(_since) >= options.ReconnectTimeout;

    public Task PauseAsync(CancellationToken cancellation)
    {
        var pause = _pause;
        _pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        return Task.Delay(pause, options.Time, cancellation);
    }
}

/// <summary>What one call meets from its first failure on; disposed of when the call has ended.</summary>
internal sealed class Outage(Database database) : IDisposable
{
    private Backoff? _backoff;
    private bool _waitsForRoom;

    public bool HasBegun => _backoff is not null;

    public bool IsOver => _backoff is { IsOver: true };

    public void Meets(Exception cause)
    {
        _backoff ??= new Backoff(database.Options);
        if (!_waitsForRoom && database.IsLackOfRoom(cause))
        {
            _waitsForRoom = true;
            database.WaitForRoom(1);
        }
        database.Suffers(cause);
    }

    public Task PauseAsync(CancellationToken cancellation) => _backoff!.PauseAsync(cancellation);

    /// <summary>The call has succeeded.</summary>
    public void Ends()
    {
        Dispose();
        database.Works();
    }

    public void Dispose()
    {
        if (_waitsForRoom)
            database.WaitForRoom(-1);
        _waitsForRoom = false;
    }
}
