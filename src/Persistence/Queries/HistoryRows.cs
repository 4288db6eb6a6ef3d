using Runtara.Actors.Instances;

namespace Runtara.Persistence;

/// <summary>A checkpoint in a list: without its bytes.</summary>
public sealed record CheckpointSummaryRow(string Key, DateTimeOffset CreatedAt, int SizeBytes);

/// <summary>A checkpoint with its bytes.</summary>
public sealed record CheckpointRow(DateTimeOffset CreatedAt, ReadOnlyMemory<byte> State);

/// <summary>Which checkpoints of an instance a list shows, newest first; null means no filter.</summary>
public sealed record CheckpointFilter(InstanceId Instance)
{
    /// <summary>With exactly this key.</summary>
    public string? Key { get; init; }

    /// <summary>Saved at this time or later.</summary>
    public DateTimeOffset? CreatedAfter { get; init; }

    /// <summary>Saved before this time.</summary>
    public DateTimeOffset? CreatedBefore { get; init; }

    /// <summary>The most rows; taken as given.</summary>
    public int Limit { get; init; } = 100;

    /// <summary>How many rows to skip.</summary>
    public int Offset { get; init; }
}

/// <summary>An event; the id grows with the order in which an instance's events were stored.</summary>
public sealed record EventRow(
    long Id, string Type, string? Subtype, string? CheckpointId, DateTimeOffset CreatedAt,
    ReadOnlyMemory<byte>? Payload);

/// <summary>Which events of an instance a list shows, newest first; null means no filter.</summary>
public sealed record EventFilter(InstanceId Instance)
{
    /// <summary>Of this type: started, completed, failed, suspended or custom.</summary>
    public string? Type { get; init; }

    /// <summary>Of this subtype.</summary>
    public string? Subtype { get; init; }

    /// <summary>Happened at this time or later.</summary>
    public DateTimeOffset? CreatedAfter { get; init; }

    /// <summary>Happened before this time.</summary>
    public DateTimeOffset? CreatedBefore { get; init; }

    /// <summary>
    /// With this text in the payload read as UTF-8, where bytes that are none count as U+FFFD. Upper and lower case
    /// are the same in every script, by Unicode's simple case mapping (so "ß" is not "ss"); no character is a
    /// wildcard. Events without payload never match. Each payload is read, one at a time.
    /// </summary>
    public string? PayloadContains { get; init; }

    /// <summary>The most rows; taken as given.</summary>
    public int Limit { get; init; } = 100;

    /// <summary>How many rows to skip.</summary>
    public int Offset { get; init; }

    /// <summary>The most payload bytes in a page that has more than one row; further rows are left out.</summary>
    public long PayloadBytesMax { get; init; } = long.MaxValue;
}

/// <summary>A page of events.</summary>
/// <param name="Rows">At most as many as the limit says.</param>
/// <param name="TotalCount">How many match in all.</param>
/// <param name="IsCut">Whether payload bytes and not the limit ended the page.</param>
public sealed record EventPage(IReadOnlyList<EventRow> Rows, int TotalCount, bool IsCut);
