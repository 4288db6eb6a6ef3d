using System.Collections.Immutable;

namespace Runtara.Actors.Instances;

/// <summary>
/// The custom signals that wait for an instance: a queue for each key (semantics, row "Custom signals"). Only numbers
/// are here, the payloads are in the catalog.
/// </summary>
public sealed record CustomSignals
{
    /// <summary>Nothing waits and nothing ever did.</summary>
    public static readonly CustomSignals None = new();

    internal ImmutableDictionary<string, ImmutableList<long>> Queues { get; private init; } =
        ImmutableDictionary<string, ImmutableList<long>>.Empty;

    internal ImmutableDictionary<string, long> Given { get; private init; } = ImmutableDictionary<string, long>.Empty;

    /// <summary>How many wait under all keys.</summary>
    public int Waiting { get; private init; }

    /// <summary>The number of the newest signal; they count from 1.</summary>
    public long Newest { get; private init; }

    /// <summary>What the live attempt was given and has not consumed.</summary>
    public IEnumerable<long> Delivered => Given.Values;

    /// <summary>How many wait under a key, the delivered one included.</summary>
    public int Count(string key) => Queues.TryGetValue(key, out var queue) ? queue.Count : 0;

    /// <summary>What to give to whoever asks with this key; null when nothing waits.</summary>
    public long? Oldest(string key) => Queues.TryGetValue(key, out var queue) ? queue[0] : null;

    /// <summary>Whether the live attempt was given this one before.</summary>
    public bool IsDelivered(string key, long number) => Given.TryGetValue(key, out var given) && given == number;

    /// <summary>Those that a snapshot kept.</summary>
    internal static CustomSignals Of<TQueue>(
        long newest, IEnumerable<KeyValuePair<string, TQueue>> queues, IEnumerable<KeyValuePair<string, long>> given)
        where TQueue : IEnumerable<long>
    {
        var waiting = queues.ToImmutableDictionary(q => q.Key, q => q.Value.ToImmutableList());
        return new CustomSignals
        {
            Newest = newest,
            Queues = waiting,
            Waiting = waiting.Values.Sum(queue => queue.Count),
            Given = given.ToImmutableDictionary(),
        };
    }

    internal CustomSignals Sent(string key, long number) => this with
    {
        Newest = number,
        Waiting = Waiting + 1,
        Queues = Queues.SetItem(key, (Queues.TryGetValue(key, out var queue) ? queue : []).Add(number)),
    };

    internal CustomSignals DeliveredTo(string key, long number) => this with { Given = Given.SetItem(key, number) };

    internal CustomSignals Consumed(ImmutableArray<long> numbers)
    {
        var (queues, given, waiting) = (Queues, Given, Waiting);
        foreach (var (key, number) in Given.Where(g => numbers.Contains(g.Value)))
        {
            given = given.Remove(key);
            var queue = queues.GetValueOrDefault(key, []);
            var rest = queue.Remove(number);
            waiting -= queue.Count - rest.Count;
            queues = rest.IsEmpty ? queues.Remove(key) : queues.SetItem(key, rest);
        }
        return this with { Queues = queues, Given = given, Waiting = waiting };
    }

    /// <summary>A new attempt: what the last one was given and did not consume, this one gets again.</summary>
    internal CustomSignals Again() => Given.IsEmpty ? this : this with { Given = Given.Clear() };

    /// <summary>The instance has ended.</summary>
    internal CustomSignals Dropped() => new() { Newest = Newest };
}
