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
    private readonly CancellationTokenSource _source = Begin(limit, cancellation);

    public CancellationToken Token => _source.Token;

    /// <summary>
    /// The text for a failure of the daemon or its database; null for all else, a caller that has gone among it.
    /// </summary>
    public string? TextOf(Exception cause) => cause switch
    {
        InstanceUnavailableException => Text(cause.Message),
        OperationCanceledException when !cancellation.IsCancellationRequested && _source.IsCancellationRequested =>
            Text($"Not carried out within {limit!.Value.TotalSeconds:0.#} s"),
        StoreUnavailableException => $"{cause.Message}; {ErrorCodes.SafeToRepeat}",
        DbException or IOException or TimeoutException => catalog.Trouble is { } trouble
            ? $"Database error: {trouble}; {ErrorCodes.SafeToRepeat}"
            : $"Database error: {cause.Message}; {ErrorCodes.SafeToRepeat}",
        _ => null,
    };

    private string Text(string what) => catalog.Trouble is { } trouble
        ? $"{what}, because the database cannot be used now: {trouble}; {ErrorCodes.SafeToRepeat}"
        : $"{what}; {ErrorCodes.SafeToRepeat}";

    public void Dispose() => _source.Dispose();

    private static CancellationTokenSource Begin(TimeSpan? limit, CancellationToken cancellation)
    {
        var source = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (limit is { } after)
            source.CancelAfter(after);
        return source;
    }
}
