using Runtara.Actors.Instances;

namespace Runtara.Runner.Slots;

/// <summary>A place that an attempt has or waits for.</summary>
internal readonly record struct SlotKey(InstanceId Instance, Attempt Attempt);

/// <summary>
/// The node's places among its containers. Tenants take turns: when a place is free, the tenant whose last turn is
/// longest ago gets it for the request that it has waited with longest. A granted place that is not taken is granted
/// for <c>timeout</c> only. Plain state; the caller sends what is granted.
/// </summary>
internal sealed class SlotQueue(int capacity, TimeSpan timeout)
{
    private readonly Dictionary<SlotKey, DateTimeOffset> _granted = [];
    private readonly HashSet<SlotKey> _taken = [];
    private readonly Dictionary<InstanceId, Waiter> _waiters = [];
    private readonly Dictionary<TenantId, LinkedList<Waiter>> _queues = [];
    private readonly LinkedList<TenantId> _turns = [];

    /// <summary>Whether nothing is granted for now, free or not; what waits keeps its turn.</summary>
    internal bool IsHeld { get; set; }

    internal int Waiting => _waiters.Count;

    internal int Used => _granted.Count + _taken.Count;

    /// <summary>
    /// Asks for a place. Asking twice changes nothing, except that a place granted already is granted again, in case
    /// the first answer was lost; a newer attempt takes the place in the queue of an older one, and voids its grant.
    /// </summary>
    internal IReadOnlyList<SlotKey> Request(SlotKey key, TenantId tenant, DateTimeOffset now)
    {
        if (_taken.Contains(key))
            return [];
        if (_granted.ContainsKey(key))
        {
            _granted[key] = now;
            return [key];
        }
        foreach (var old in _granted.Keys.Where(k => k.Instance == key.Instance))
        {
            if (old.Attempt.CompareTo(key.Attempt) < 0)
                _granted.Remove(old);
        }
        if (_waiters.TryGetValue(key.Instance, out var waiter))
        {
            if (waiter.Key.Attempt.CompareTo(key.Attempt) < 0)
                waiter.Key = key;
            return [];
        }
        waiter = new Waiter(key, tenant);
        _waiters[key.Instance] = waiter;
        if (!_queues.TryGetValue(tenant, out var queue))
        {
            _queues[tenant] = queue = [];
            _turns.AddLast(tenant);
        }
        queue.AddLast(waiter.Node);
        return Grant(now);
    }

    /// <summary>Takes a granted place for a launch; false when it was not granted, or was taken back.</summary>
    internal bool Take(SlotKey key) => _granted.Remove(key) && _taken.Add(key);

    /// <summary>Takes a place for what runs already; there may then be more than there are places.</summary>
    internal void Occupy(SlotKey key) => _taken.Add(key);

    /// <summary>Gives up a request or a granted place; a taken one stays until it is freed.</summary>
    internal IReadOnlyList<SlotKey> Release(SlotKey key, DateTimeOffset now)
    {
        _granted.Remove(key);
        if (_waiters.TryGetValue(key.Instance, out var waiter) && waiter.Key == key)
            Dequeue(waiter);
        return Grant(now);
    }

    /// <summary>The container is gone.</summary>
    internal IReadOnlyList<SlotKey> Free(SlotKey key, DateTimeOffset now)
    {
        _taken.Remove(key);
        return Grant(now);
    }

    /// <summary>Takes back what was granted too long ago.</summary>
    internal IReadOnlyList<SlotKey> Expire(DateTimeOffset now)
    {
        foreach (var key in _granted.Where(g => now - g.Value >= timeout).Select(g => g.Key).ToList())
            _granted.Remove(key);
        return Grant(now);
    }

    private List<SlotKey> Grant(DateTimeOffset now)
    {
        var granted = new List<SlotKey>();
        while (!IsHeld && Used < capacity && _turns.First is { } turn)
        {
            _turns.RemoveFirst();
            _turns.AddLast(turn);
            var waiter = _queues[turn.Value].First!.Value;
            Dequeue(waiter);
            _granted[waiter.Key] = now;
            granted.Add(waiter.Key);
        }
        return granted;
    }

    private void Dequeue(Waiter waiter)
    {
        _waiters.Remove(waiter.Key.Instance);
        var queue = _queues[waiter.Tenant];
        queue.Remove(waiter.Node);
        if (queue.Count > 0)
            return;
        _queues.Remove(waiter.Tenant);
        _turns.Remove(waiter.Tenant);
    }

    private sealed class Waiter
    {
        internal Waiter(SlotKey key, TenantId tenant)
        {
            (Key, Tenant) = (key, tenant);
            Node = new LinkedListNode<Waiter>(this);
        }

        internal SlotKey Key { get; set; }

        internal TenantId Tenant { get; }

        internal LinkedListNode<Waiter> Node { get; }
    }
}
