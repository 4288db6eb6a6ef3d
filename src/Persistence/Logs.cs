using Microsoft.Extensions.Logging;

namespace Runtara.Persistence;

internal static partial class Logs
{
    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The database {Database} cannot be used now: {Trouble}. What needs it waits, up to {Seconds} s each")]
    public static partial void OutageBegins(ILogger logger, string database, string trouble, double seconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "The database {Database} can be used again")]
    public static partial void OutageEnds(ILogger logger, string database);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "The migration of the database from version {From} to {To} begins")]
    public static partial void MigrationBegins(ILogger logger, int from, int to);

    [LoggerMessage(
        Level = LogLevel.Information, Message = "The migration of the database to version {To} is done")]
    public static partial void MigrationEnds(ILogger logger, int to);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "{Units} writes have waited too long for the database and fail; who asked for them is told nothing, "
            + "and asks again: {Trouble}")]
    public static partial void OutageTooLong(ILogger logger, int units, string trouble);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Units} writes fail")]
    public static partial void WritesFailed(ILogger logger, Exception cause, int units);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The database refused event {SequenceNr} of {PersistenceId}")]
    public static partial void RowRefused(ILogger logger, Exception cause, string persistenceId, long sequenceNr);

    [LoggerMessage(
        Level = LogLevel.Critical,
        Message = "FAULTS ON PURPOSE: of the calls to the database {Before} % fail before, {After} % fail after, "
            + "{Delayed} % are late; seed {Seed}. This is for tests and never for production")]
    public static partial void FaultsOnPurpose(
        ILogger logger, double before, double after, double delayed, int seed);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The snapshot of {PersistenceId} cannot be used, so its whole journal is read; the next snapshot "
            + "takes its place: {Cause}")]
    public static partial void SnapshotUnusable(ILogger logger, string persistenceId, string cause);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "A snapshot of {PersistenceId} at event {SequenceNr} was not saved; nothing is lost, its next "
            + "recovery takes longer: {Cause}")]
    public static partial void SnapshotNotSaved(
        ILogger logger, string persistenceId, long sequenceNr, string cause);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Owned}. Waiting for up to {Seconds} s")]
    public static partial void OwnedByAnother(ILogger logger, string owned, double seconds);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The connection that keeps other daemons off the database {Database} is lost, and is made again: "
            + "{Cause}")]
    public static partial void OwnershipLost(ILogger logger, string database, string cause);

    [LoggerMessage(
        Level = LogLevel.Information, Message = "Other daemons are kept off the database {Database} again")]
    public static partial void OwnershipBack(ILogger logger, string database);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "A connection pooler is between the daemon and the database {Database}: it must pool sessions and "
            + "not transactions, or other daemons are not kept off")]
    public static partial void PoolerBetween(ILogger logger, string database);

    [LoggerMessage(Level = LogLevel.Error, Message = "A journal reply could not be sent")]
    public static partial void ReplyFailed(ILogger logger, Exception cause);
}
