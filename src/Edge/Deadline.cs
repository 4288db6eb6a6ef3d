using System.Data.Common;
using Runtara.Persistence;
using Runtara.Protocol;

namespace Runtara.Edge;

/// <summary>How long a request may take, and what its caller is told when it could not be carried out.</summary>
/// <param name="limit">Null for a request that may take as long as it needs.</param>
/// <param name="catalog">Knows what is wrong with the database.</param>
/// <param name="cancellation">The caller has gone.</param>
internal sealed class Deadline(TimeSpan? limit, Catalog catalog, CancellationToken cancellation) : IDisposable
{
    /// <summary>The text for a failure that no rule here knows.</summary>
    public const string Unexpected =
        "The request failed in a way that was not expected: the daemon's log has the cause";

    private readonly CancellationTokenSource _source = Begin(limit, cancellation);

    public CancellationToken Token => _source.Token;

    /// <summary>Whether the request only asks for rows: one that takes too long would do so again.</summary>
    public bool IsQuery { get; init; }

    private bool IsLate => !cancellation.IsCancellationRequested && _source.IsCancellationRequested;

    /// <summary>
    /// The text for a failure of the daemon or its database; null for all else, a caller that has gone among it.
    /// </summary>
    public string? TextOf(Exception cause) => cause switch
    {
        MayBeDoneException => ReasonOf(cause.InnerException!) is { } what ? $"{what}; {cause.Message}" : null,
        OperationCanceledException when IsQuery && IsLate && catalog.Trouble is null =>
            $"The query took longer than {limit!.Value.TotalSeconds:0.###} s (edge.request-timeout): ask for less, "
            + "for instance for a shorter range of time or a smaller page",
        _ => ReasonOf(cause) is { } what ? $"{what}; {ErrorCodes.SafeToRepeat}" : null,
    };

    private string? ReasonOf(Exception cause) => cause switch
    {
        InstanceUnavailableException => BecauseOfTrouble(cause.Message),
        OperationCanceledException when IsLate =>
            BecauseOfTrouble($"Not carried out within {limit!.Value.TotalSeconds:0.#} s"),
        StoreUnavailableException => cause.Message,
        DbException or IOException or TimeoutException => $"Database error: {catalog.Trouble ?? cause.Message}",
        _ => null,
    };

    private string BecauseOfTrouble(string what) => catalog.Trouble is { } trouble
        ? $"{what}, because the database cannot be used now: {trouble}"
        : what;

    public void Dispose() => _source.Dispose();

    private static CancellationTokenSource Begin(TimeSpan? limit, CancellationToken cancellation)
    {
        var source = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (limit is { } after)
            source.CancelAfter(after);
        return source;
    }
}
