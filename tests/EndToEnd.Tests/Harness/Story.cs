namespace Runtara.EndToEnd.Tests.Harness;

/// <summary>What is told twice: of a database that works, and, by a class that inherits, of one that fails.</summary>
public abstract class Story
{
    // Few enough events for a short life to have snapshots, which then fail too.
    private const string SoonSnapshot = "instances.snapshot-every=10";

    /// <summary>This many of 100 calls to the database fail before, fail after, are late.</summary>
    protected virtual int FaultPercent => 0;

    private protected DaemonProcess NewDaemon(string? databaseUrl, params string[] settings) =>
        new(databaseUrl, FaultPercent > 0 ? [SoonSnapshot, .. settings] : settings) { FaultPercent = FaultPercent };
}
