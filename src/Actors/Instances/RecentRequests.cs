using System.Collections.Immutable;

namespace Runtara.Actors.Instances;

/// <summary>
/// The newest requests that would happen twice if they were carried out again. Whoever waits for an answer asks again,
/// so that after a stall all questions of all who wait lie in line twice or more: between two of the same request are
/// at most those of two rounds of <c>edge.commands-max</c> (4,096), because a place is free again after an answer or
/// the end of patience. An end of the daemon ends all who wait, so nothing is lost when an older daemon kept fewer.
/// </summary>
public sealed class RecentRequests
{
    /// <summary>How many are remembered at least, when there were so many.</summary>
    public const int CountMin = BlocksMax * BlockLength;

    // Blocks and not a set: sixteen bytes for a request, where the node of a tree has seventy.
    private const int BlockLength = 256;
    private const int BlocksMax = 32;

    /// <summary>There were none.</summary>
    public static readonly RecentRequests None = new([], []);

    private readonly ImmutableQueue<ImmutableArray<Guid>> _sorted;
    private readonly ImmutableArray<Guid> _newest;

    private RecentRequests(ImmutableQueue<ImmutableArray<Guid>> sorted, ImmutableArray<Guid> newest) =>
        (_sorted, _newest) = (sorted, newest);

    /// <summary>All that are remembered, oldest block first.</summary>
    public IEnumerable<Guid> All => _sorted.SelectMany(block => block).Concat(_newest);

    /// <summary>Whether this one is remembered.</summary>
    public bool Contains(Guid request) =>
        _newest.AsSpan().Contains(request) || _sorted.Any(block => block.BinarySearch(request) >= 0);

    /// <summary>These and one more.</summary>
    public RecentRequests Add(Guid request)
    {
        var newest = _newest.Add(request);
        if (newest.Length < BlockLength)
            return new RecentRequests(_sorted, newest);
        var sorted = _sorted.Enqueue(newest.Sort());
        return new RecentRequests(sorted.Count() > BlocksMax ? sorted.Dequeue() : sorted, []);
    }

    /// <summary>Those of <see cref="All"/>.</summary>
    internal static RecentRequests Of(IEnumerable<Guid> requests) =>
        requests.Aggregate(None, (all, request) => all.Add(request));
}
