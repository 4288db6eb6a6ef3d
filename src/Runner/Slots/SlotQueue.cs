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
    private readonly Dictionary<TenantId, LinkedList<SlotKey>> _waiting = [];
    private readonly LinkedList<TenantId> _turns = [];

    internal int Used => _granted.Count + _taken.Count;

    /// <summary>
    /// Asks for a place. Asking twice changes nothing, except that a place granted already is granted again, in case
    /// the first answer was lost; a newer attempt replaces an older one that still waits.
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
        Forget(k => k.Instance == key.Instance && k.Attempt.CompareTo(key.Attempt) < 0);
        if (!_waiting.TryGetValue(tenant, out var queue))
        {
            _waiting[tenant] = queue = [];
            _turns.AddLast(tenant);
        }
        if (!queue.Contains(key))
            queue.AddLast(key);
        return Grant(now);
    }

    /// <summary>Takes a granted place for a launch; false when it was not granted, or was taken back.</summary>
    internal bool Take(SlotKey key) => _granted.Remove(key) && _taken.Add(key);

    /// <summary>Gives up a request or a granted place; a taken one stays until it is freed.</summary>
    internal IReadOnlyList<SlotKey> Release(SlotKey key, DateTimeOffset now)
    {
        Forget(k => k == key);
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
        while (Used < capacity && _turns.First is { } turn)
        {
            var queue = _waiting[turn.Value];
            var key = queue.First!.Value;
            queue.RemoveFirst();
            _turns.RemoveFirst();
            if (queue.Count > 0)
                _turns.AddLast(turn);
            else
                _waiting.Remove(turn.Value);
            _granted[key] = now;
            granted.Add(key);
        }
        return granted;
    }

    private void Forget(Func<SlotKey, bool> which)
    {
        foreach (var key in _granted.Keys.Where(which).ToList())
            _granted.Remove(key);
        foreach (var (tenant, queue) in _waiting.ToList())
        {
            foreach (var key in queue.Where(which).ToList())
                queue.Remove(key);
            if (queue.Count > 0)
                continue;
            _waiting.Remove(tenant);
            _turns.Remove(tenant);
        }
    }
}
