using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Runtara.Persistence;

/// <summary>Where the store is and how it behaves.</summary>
public sealed record StoreOptions
{
    /// <summary>
    /// <c>postgres://user:password@host:port/database?option=value</c> (or <c>postgresql://</c>), an Npgsql connection
    /// string, or <c>sqlite:path</c>.
    /// </summary>
    public required string DatabaseUrl { get; init; }

    /// <summary>The directory for image bytes when the database is SQLite.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>How long a database outage is waited out before writes and reads fail.</summary>
    public TimeSpan ReconnectTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Whether no other process may open the database like this while the store is open. Default: any number may.
    /// </summary>
    public bool Alone { get; init; }

    /// <summary>
    /// How long another owner of the database is waited for after it was seen first: one that was killed lets go soon.
    /// </summary>
    public TimeSpan OwnerTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The most journal rows in one transaction; an atomic batch is never split.</summary>
    public int CommitRowsMax { get; init; } = 2000;

    /// <summary>The most bytes in one transaction; a single larger batch goes alone.</summary>
    public int CommitBytesMax { get; init; } = 4 * 1024 * 1024;

    /// <summary>A write with more bytes than this takes the lane for large rows (PostgreSQL).</summary>
    public int LargeRowBytes { get; init; } = 64 * 1024;

    /// <summary>How many bytes may wait for a commit before the journal stops taking more in.</summary>
    public long QueueBytesMax { get; init; } = 256L * 1024 * 1024;

    /// <summary>The most recoveries answered by one query.</summary>
    public int ReplayBatchMax { get; init; } = 500;

    /// <summary>A snapshot with more bytes than this is not saved; the instance recovers from its events.</summary>
    public int SnapshotBytesMax { get; init; } = 16 * 1024 * 1024;

    /// <summary>Failures on purpose, for tests; null, the default, is none.</summary>
    public FaultOptions? Faults { get; init; }

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Where outages and refused rows are reported.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;
}
