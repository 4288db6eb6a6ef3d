using System.Net;

namespace Runtara.Bench.Checkpoints;

/// <summary>The way in.</summary>
internal enum DoorKind
{
    /// <summary>
    /// The daemon's QUIC port for workflows: one connection for each instance, one stream for each request.
    /// </summary>
    Quic,

    /// <summary>Unix sockets as in a run directory: one for each instance, frames one after another.</summary>
    Socket,
}

/// <summary>One measurement.</summary>
internal sealed record LoadOptions
{
    /// <summary>The way in.</summary>
    public required DoorKind Door { get; init; }

    /// <summary>How many instances; each has one connection and one request under way.</summary>
    public required int Instances { get; init; }

    /// <summary>The size of a checkpoint's state.</summary>
    public required int Bytes { get; init; }

    /// <summary>What is measured.</summary>
    public required TimeSpan Measured { get; init; }

    /// <summary>What comes before, and is not.</summary>
    public required TimeSpan WarmUp { get; init; }

    /// <summary>The daemon's port for workflows.</summary>
    public required IPEndPoint Server { get; init; }

    /// <summary>Where <c>&lt;instance id&gt;.sock</c> are.</summary>
    public required string Sockets { get; init; }

    /// <summary>The process whose CPU time is the daemon's; 0 when unknown.</summary>
    public required int DaemonPid { get; init; }

    /// <summary>The postmaster, whose CPU time with its children's is the database's; 0 when unknown.</summary>
    public required int DatabasePid { get; init; }
}
