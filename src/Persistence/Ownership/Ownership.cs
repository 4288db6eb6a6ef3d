namespace Runtara.Persistence;

/// <summary>The lock that keeps other daemons off a database, for as long as it is not disposed.</summary>
internal interface IOwnership : IAsyncDisposable
{
    /// <summary>Completes, with what to say, when the database can no longer be this daemon's.</summary>
    Task<string> Lost { get; }
}

/// <summary>Who holds a database, written where another daemon reads it.</summary>
internal static class Owner
{
    private const string Program = "runtarad ";

    /// <summary>This process: <c>runtarad 1234@host /data/directory</c>.</summary>
    public static string Myself(StoreOptions options) =>
        $"{Program}{Environment.ProcessId}@{Environment.MachineName} {Path.GetFullPath(options.DataDirectory)}";

    /// <summary>Shortened in its directory, of which the end says most.</summary>
    public static string Shorten(string owner, int charactersMax)
    {
        if (owner.Length <= charactersMax)
            return owner;
        var directory = owner.IndexOf('/', StringComparison.Ordinal);
        var room = charactersMax - directory - 3;
        return room > 0 ? $"{owner[..directory]}...{owner[^room..]}" : owner[..charactersMax];
    }

    /// <summary>As a sentence says it.</summary>
    public static string Describe(string owner) =>
        owner.StartsWith(Program, StringComparison.Ordinal)
        && owner[Program.Length..].Split(['@', ' '], 3) is [var process, var host, var directory]
            ? $"process {process} on {host} with the data directory '{directory}'"
            : owner.Length > 0 ? $"'{owner}'" : "a process that cannot be told";
}

/// <summary>Another daemon holds the database.</summary>
public sealed class DatabaseOwnedException : Exception
{
    internal DatabaseOwnedException(StoreOptions options, string owner)
        : base(
            $"another runtarad uses the database {DatabaseUrl.Redact(options.DatabaseUrl)}: {Owner.Describe(owner)}; "
            + "stop it, or give this one a database of its own (runtara.database-url)")
    {
    }
}
