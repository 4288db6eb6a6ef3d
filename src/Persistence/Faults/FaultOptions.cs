namespace Runtara.Persistence;

/// <summary>
/// Which share of the calls to a store goes wrong on purpose. For tests only: it shows that everything above the store
/// lives with a database that fails. Each rate is from 0 to 1 and is drawn for each call on its own.
/// </summary>
public sealed record FaultOptions
{
    /// <summary>Calls that fail before the database hears of them.</summary>
    public double Before { get; init; }

    /// <summary>Calls that the database carries out, and whose answer is lost.</summary>
    public double After { get; init; }

    /// <summary>Calls that are held up for up to <see cref="DelayMax"/>.</summary>
    public double Delayed { get; init; }

    /// <summary>The longest delay. Default 100 ms.</summary>
    public TimeSpan DelayMax { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// Begins the sequence of draws; the store logs it. The same seed gives the same draws in the same order, though
    /// not always to the same calls, because calls run side by side.
    /// </summary>
    public int Seed { get; init; } = Random.Shared.Next();

    /// <summary>All three rates alike.</summary>
    public static FaultOptions AtRate(double rate) => new() { Before = rate, After = rate, Delayed = rate };
}
