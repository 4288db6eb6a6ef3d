namespace Runtara.Daemon;

/// <summary>What the process says when it ends.</summary>
internal static class ExitCodes
{
    /// <summary>Stopped by a signal, or checked a valid configuration.</summary>
    public const int Ok = 0;

    /// <summary>Could not start, or could not go on; the last line of stderr says why.</summary>
    public const int Failed = 1;

    /// <summary>The configuration is not valid.</summary>
    public const int Configuration = 2;
}
