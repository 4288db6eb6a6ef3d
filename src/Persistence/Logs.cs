using Microsoft.Extensions.Logging;

namespace Runtara.Persistence;

internal static partial class Logs
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "The database is away; writes wait")]
    public static partial void OutageBegins(ILogger logger, Exception cause);

    [LoggerMessage(Level = LogLevel.Error, Message = "The database stayed away; {Units} writes fail")]
    public static partial void OutageTooLong(ILogger logger, Exception cause, int units);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The database refused event {SequenceNr} of {PersistenceId}")]
    public static partial void RowRefused(ILogger logger, Exception cause, string persistenceId, long sequenceNr);

    [LoggerMessage(
        Level = LogLevel.Critical,
        Message = "FAULTS ON PURPOSE: of the calls to the database {Before} % fail before, {After} % fail after, "
            + "{Delayed} % are late; seed {Seed}. This is for tests and never for production")]
    public static partial void FaultsOnPurpose(
        ILogger logger, double before, double after, double delayed, int seed);

    [LoggerMessage(Level = LogLevel.Error, Message = "A journal reply could not be sent")]
    public static partial void ReplyFailed(ILogger logger, Exception cause);
}
