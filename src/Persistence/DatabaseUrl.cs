using System.Globalization;
using Npgsql;
using Runtara.Persistence.Postgres;
using Runtara.Persistence.Sqlite;

namespace Runtara.Persistence;

/// <summary>Reads the three spellings of <see cref="StoreOptions.DatabaseUrl"/>.</summary>
public static class DatabaseUrl
{
    private const string SqliteScheme = "sqlite:";

    // What SQLite has beside a database now or in its other modes, and the lock that keeps a second user out.
    private static readonly string[] SqliteSuffixes = ["", "-journal", "-wal", "-shm", ".lock"];

    internal static Database Open(StoreOptions options)
    {
        var url = options.DatabaseUrl.Trim();
        if (Problem(url) is { } problem)
            throw new FormatException($"The database URL {problem}");
        if (IsSqlite(url))
            return new SqliteDatabase(SqlitePath(url), options);
        return new PostgresDatabase(Postgres(url), options);
    }

    /// <summary>
    /// The names of all files that the database may have where it lies; none for a server. SQLite takes whatever has
    /// one of these names for its own, and a directory of such a name makes its file unreadable.
    /// </summary>
    public static IReadOnlyList<string> FileNames(string url) => IsSqlite(url.Trim())
        ? [.. SqliteSuffixes.Select(suffix => Path.GetFileName(SqlitePath(url.Trim())) + suffix)]
        : [];

    /// <summary>
    /// The rule that it breaks, without what it says, for there may be a password in it; null when it breaks none.
    /// </summary>
    public static string? Problem(string url)
    {
        try
        {
            _ = IsSqlite(url.Trim()) ? SqlitePath(url.Trim()) : Postgres(url.Trim()).Host;
            return null;
        }
        catch (FormatException e)
        {
            return e.Message;
        }
    }

    /// <summary>The URL with its password replaced, for messages.</summary>
    public static string Redact(string url)
    {
        url = url.Trim();
        if (IsSqlite(url))
            return url;
        try
        {
            var parts = Postgres(url);
            return string.Create(
                CultureInfo.InvariantCulture,
                $"postgres://{parts.Username}@{parts.Host}:{parts.Port}/{parts.Database}");
        }
        catch (FormatException)
        {
            return "(unreadable URL)";
        }
    }

    internal static NpgsqlConnectionStringBuilder Postgres(string url)
    {
        try
        {
            if (!url.StartsWith("postgres://", StringComparison.OrdinalIgnoreCase)
                && !url.StartsWith("postgresql://", StringComparison.OrdinalIgnoreCase))
            {
                var given = new NpgsqlConnectionStringBuilder(url);
                return given.Host is null ? throw new FormatException("no host") : given;
            }
            return FromUri(new Uri(url));
        }
        catch (Exception e) when (e is ArgumentException or UriFormatException or FormatException)
        {
            // The cause's own text may quote the URL, and with it the password.
            throw new FormatException(
                "must be postgres://user:password@host:port/database?option=value, an Npgsql connection string, "
                + "or sqlite:path");
        }
    }

    private static NpgsqlConnectionStringBuilder FromUri(Uri uri)
    {
        var user = uri.UserInfo.Split(':', 2);
        var database = Uri.UnescapeDataString(uri.AbsolutePath.TrimStart('/'));
        var builder = new NpgsqlConnectionStringBuilder
        {
            Host = uri.Host.Length == 0 ? "localhost" : Uri.UnescapeDataString(uri.Host),
            Port = uri.Port > 0 ? uri.Port : 5432,
            Username = user[0].Length == 0 ? null : Uri.UnescapeDataString(user[0]),
            Password = user.Length < 2 ? null : Uri.UnescapeDataString(user[1]),
            Database = database.Length == 0 ? null : database,
        };
        foreach (var pair in uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var (key, value) = pair.Split('=', 2) is [var k, var v] ? (k, Uri.UnescapeDataString(v)) : (pair, "");
            builder[OptionName(key)] = value.Length > 0 && key == "sslmode" ? value.Replace("-", "") : value;
        }
        return builder;
    }

    // libpq's spellings differ from Npgsql's here and there.
    private static string OptionName(string key) => key switch
    {
        "sslmode" => "SSL Mode",
        "application_name" => "Application Name",
        "connect_timeout" => "Timeout",
        "options" => "Options",
        _ => key.Replace('_', ' '),
    };

    private static bool IsSqlite(string url) => url.StartsWith(SqliteScheme, StringComparison.OrdinalIgnoreCase);

    private static string SqlitePath(string url)
    {
        var path = url[SqliteScheme.Length..];
        if (path.StartsWith("//", StringComparison.Ordinal))
            path = path[2..];
        if (path.Length == 0 || path == ":memory:")
            throw new FormatException("must name a file: sqlite:path");
        return Path.GetFullPath(path);
    }
}
