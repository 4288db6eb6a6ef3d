namespace Runtara.Persistence.Journal;

/// <summary>
/// Spreads write requests over the lanes. While an id has a request in flight its next one follows in the same lane, so
/// that order within an id holds; recoveries of that id wait until it is quiet.
/// </summary>
internal sealed class JournalWriter : IAsyncDisposable
{
    // A second connection pays off only when the first has more to do than one good commit; below that it would just
    // cut commits in halves.
    private const int SpillRows = 128;

    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Flight> _flights = [];
    private readonly CommitLane[] _lanes;
    private readonly int[] _rows;
    private readonly StoreOptions _options;
    private TaskCompletionSource? _room;
    private long _queuedBytes;
    private int _disposed;

    public JournalWriter(Database database, StoreOptions options)
    {
        _options = options;
        SmallLanes = database.SmallLanes;
        var count = SmallLanes > 1 ? SmallLanes + 1 : 1;
        _rows = new int[count];
        _lanes = Enumerable.Range(0, count).Select(_ => new CommitLane(database, options, Done)).ToArray();
    }

    private int SmallLanes { get; }

    /// <summary>Queues a request. Never refuses; see <see cref="WaitForRoomAsync"/>.</summary>
    public void Enqueue(WriteRequest request)
    {
        lock (_gate)
        {
            var lane = ChooseLane(request);
            foreach (var id in request.PersistenceIds)
            {
                if (!_flights.TryGetValue(id, out var flight))
                    _flights.Add(id, flight = new Flight(lane));
                flight.Count++;
            }
            _queuedBytes += request.Bytes;
            (request.Lane, _rows[lane]) = (lane, _rows[lane] + request.Rows);
            // Within the lock: two requests of one id must reach their lane in order.
            _lanes[lane].Enqueue(request);
        }
    }

    /// <summary>Completes at once, or when enough has been committed for more to come in.</summary>
    public Task WaitForRoomAsync()
    {
        lock (_gate)
        {
            if (_queuedBytes < _options.QueueBytesMax)
                return Task.CompletedTask;
            _room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _room.Task;
        }
    }

    /// <summary>Runs the action once no write of the id is in flight: at once, or when the last one ends.</summary>
    public void WhenQuiet(string persistenceId, Action action)
    {
        lock (_gate)
        {
            if (_flights.TryGetValue(persistenceId, out var flight))
            {
                flight.Waiters.Add(action);
                return;
            }
        }
        action();
    }

    /// <summary>
    /// Makes recoveries of these ids wait until <see cref="Release"/>; answers those that are held now, without the ids
    /// that have a write in flight or are held already.
    /// </summary>
    public IReadOnlyList<string> Hold(IEnumerable<string> persistenceIds)
    {
        lock (_gate)
            return persistenceIds.Where(id => _flights.TryAdd(id, new Flight(0) { Count = 1 })).ToList();
    }

    /// <summary>Lets the recoveries of held ids go on.</summary>
    public void Release(IEnumerable<string> persistenceIds)
    {
        List<Action> waiters = [];
        lock (_gate)
            Land(persistenceIds, waiters);
        waiters.ForEach(w => w());
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        foreach (var lane in _lanes)
            await lane.StopAsync(StopGrace);
    }

    private int ChooseLane(WriteRequest request)
    {
        foreach (var id in request.PersistenceIds)
        {
            if (_flights.TryGetValue(id, out var flight))
                return flight.Lane;
        }
        if (SmallLanes == 1)
            return 0;
        if (request.Bytes > _options.LargeRowBytes)
            return SmallLanes;
        if (_rows[0] < SpillRows)
            return 0;
        var least = 0;
        for (var lane = 1; lane < SmallLanes; lane++)
        {
            if (_rows[lane] < _rows[least])
                least = lane;
        }
        return least;
    }

    private void Done(WriteRequest request)
    {
        try
        {
            request.Complete();
        }
        catch (Exception e)
        {
            Logs.ReplyFailed(_options.Logger, e);
        }
        List<Action> waiters = [];
        TaskCompletionSource? room = null;
        lock (_gate)
        {
            Land(request.PersistenceIds, waiters);
            _queuedBytes -= request.Bytes;
            _rows[request.Lane] -= request.Rows;
            if (_room is not null && _queuedBytes < _options.QueueBytesMax)
                (room, _room) = (_room, null);
        }
        room?.SetResult();
        waiters.ForEach(w => w());
    }

    private void Land(IEnumerable<string> persistenceIds, List<Action> waiters)
    {
        foreach (var id in persistenceIds)
        {
            var flight = _flights[id];
            if (--flight.Count > 0)
                continue;
            _flights.Remove(id);
            waiters.AddRange(flight.Waiters);
        }
    }

    private sealed class Flight(int lane)
    {
        public int Lane { get; } = lane;

        public int Count { get; set; }

        public List<Action> Waiters { get; } = [];
    }
}
