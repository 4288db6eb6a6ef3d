namespace Runtara.EndToEnd.Tests.Harness;

/// <summary>
/// What happens between daemon, programs and clients. The main ones are told twice: of a database that works, and, by
/// a class that inherits, of one that fails. The others are told once, of one that fails
/// (<see cref="StoryUnderFaults"/>).
/// </summary>
/// <remarks>
/// Four classes are no stories and get no faults. FullDiskTests, HeldDatabaseTests and PostgresOutageTests make the
/// database itself fail, and say which calls then fail and which succeed. HostileInputTests measures the latency and
/// the memory of the daemon.
/// </remarks>
public abstract class Story(ITestOutputHelper output)
{
    /// <summary>The percentage that every story under faults has.</summary>
    protected const int Five = 5;

    // Few enough events for a short life to have snapshots, which then fail too.
    private const string SoonSnapshot = "instances.snapshot-every=10";

    /// <summary>For what a failure is to show.</summary>
    protected ITestOutputHelper Output { get; } = output;

    /// <summary>This many of 100 calls to the database fail before, fail after, are late.</summary>
    protected virtual int FaultPercent => 0;

    private protected DaemonProcess NewDaemon(string? databaseUrl, params string[] settings) =>
        new(Output, databaseUrl, FaultPercent > 0 ? [SoonSnapshot, .. settings] : settings)
        {
            FaultPercent = FaultPercent,
        };
}

/// <summary>
/// What is told once, while of a hundred calls to the database five fail before, five fail after and five are late.
/// With a database that works there is only less to live with.
/// </summary>
public abstract class StoryUnderFaults(ITestOutputHelper output) : Story(output)
{
    /// <inheritdoc />
    protected sealed override int FaultPercent => Five;
}
