namespace Runtara.Cli;

/// <summary>Exit codes of every command; the help of the root command lists them.</summary>
internal static class ExitCode
{
    internal const int Ok = 0;
    internal const int Refused = 1;
    internal const int Usage = 2;
    internal const int Unreachable = 3;
    internal const int InstanceFailed = 4;
    internal const int InstanceCancelled = 5;
    internal const int Deadline = 6;
    internal const int Interrupted = 130;

    internal const string Help = """
        Exit codes:
          0  done (wait: the instance completed)
          1  the server refused or failed the request (health: the server is not healthy)
          2  the command line or the configuration is wrong
          3  the server cannot be reached, or does not reply in time
          4  wait: the instance failed
          5  wait: the instance was cancelled
          6  wait: the instance was not final by the deadline
        """;
}
