namespace Runtara.Protocol;

/// <summary>
/// Room for the bytes of frames that are not carried out yet: however many connections send however many frames, what
/// a process keeps of them is bounded. A frame of at most <see cref="FreeBytes"/> takes none. A larger one takes as
/// much as its header announces before any of it is kept: of its connection's share, and of what all share. Who finds
/// no room waits, and is served in the order of coming. Thread-safe.
/// </summary>
/// <param name="bytesMax">What all shares have together, in bytes, beside <see cref="OwnBytes"/> of each.</param>
public sealed class FrameBudget(long bytesMax)
{
    /// <summary>A payload of at most this many bytes takes no room: what bounds it is the number of streams.</summary>
    public const int FreeBytes = 16 * 1024;

    /// <summary>
    /// What each share has for itself, in bytes: those who fill what all share leave the smaller requests of the others
    /// alone.
    /// </summary>
    public const int OwnBytes = 1024 * 1024;

    private readonly FrameRoom _common = new(bytesMax);

    /// <summary>The share of one connection, or of one door.</summary>
    /// <param name="shareBytesMax">The most that it may have, in bytes.</param>
    public FrameShare NewShare(long shareBytesMax) => new(_common, shareBytesMax);
}

/// <summary>What one connection, or one door, may have of a <see cref="FrameBudget"/>.</summary>
public sealed class FrameShare
{
    private readonly FrameRoom _common;
    private readonly FrameRoom _room;
    private readonly FrameRoom _own = new(FrameBudget.OwnBytes);

    internal FrameShare(FrameRoom common, long bytesMax) => (_common, _room) = (common, new FrameRoom(bytesMax));

    /// <summary>Room that is there now; null when it has to be waited for.</summary>
    internal IDisposable? TryReserve(long bytes)
    {
        if (!_room.TryTake(bytes))
            return null;
        if (_own.TryTake(bytes))
            return new Reservation(bytes, _room, _own);
        if (_common.TryTake(bytes))
            return new Reservation(bytes, _room, _common);
        _room.Give(bytes);
        return null;
    }

    /// <summary>Waits for room; null when none came in time.</summary>
    internal async ValueTask<IDisposable?> ReserveAsync(
        long bytes, TimeSpan patience, TimeProvider time, CancellationToken ct)
    {
        using var late = new CancellationTokenSource(patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, ct);
        try
        {
            await _room.TakeAsync(bytes, either.Token);
            try
            {
                if (_own.TryTake(bytes))
                    return new Reservation(bytes, _room, _own);
                await _common.TakeAsync(bytes, either.Token);
                return new Reservation(bytes, _room, _common);
            }
            catch
            {
                _room.Give(bytes);
                throw;
            }
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return null;
        }
    }

    private sealed class Reservation(long bytes, FrameRoom first, FrameRoom second) : IDisposable
    {
        private int _isGiven;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isGiven, 1) != 0)
                return;
            second.Give(bytes);
            first.Give(bytes);
        }
    }
}

/// <summary>A number of bytes that is taken and given back; who finds too little waits in line.</summary>
internal sealed class FrameRoom(long bytesMax)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<(long Bytes, TaskCompletionSource Granted)> _line = [];
    private long _taken;

    internal bool TryTake(long bytes)
    {
        lock (_lock)
        {
            if (_line.Count > 0 || _taken + bytes > bytesMax)
                return false;
            _taken += bytes;
            return true;
        }
    }

    internal async ValueTask TakeAsync(long bytes, CancellationToken ct)
    {
        if (TryTake(bytes))
            return;
        var granted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        LinkedListNode<(long, TaskCompletionSource)> place;
        lock (_lock)
        {
            place = _line.AddLast((bytes, granted));
            Serve();
        }

        await using var leaving = ct.UnsafeRegister(_ => Leave(place, ct), null);
        await granted.Task;
    }

    internal void Give(long bytes)
    {
        lock (_lock)
        {
            _taken -= bytes;
            Serve();
        }
    }

    // Room that was granted in the same moment is taken, and its owner gives it back.
    private void Leave(LinkedListNode<(long Bytes, TaskCompletionSource Granted)> place, CancellationToken ct)
    {
        lock (_lock)
        {
            if (place.List is null)
                return;
            _line.Remove(place);
            place.Value.Granted.SetCanceled(ct);
            Serve();
        }
    }

    private void Serve()
    {
        while (_line.First is { } first && _taken + first.Value.Bytes <= bytesMax)
        {
            _taken += first.Value.Bytes;
            _line.RemoveFirst();
            first.Value.Granted.SetResult();
        }
    }
}
