namespace Runtara.Persistence.Tests;

public sealed class DatabaseUrlTests
{
    [Theory]
    [InlineData("postgres://u:p%40w@h:1234/db", "h", 1234, "u", "p@w", "db")]
    [InlineData("postgresql://h/db", "h", 5432, null, null, "db")]
    [InlineData("postgres://u@[::1]:99/a%20b?application_name=x&sslmode=verify-full", "[::1]", 99, "u", null, "a b")]
    [InlineData("Host=h;Port=7;Username=u;Password=p;Database=db", "h", 7, "u", "p", "db")]
    public void Urls_and_connection_strings_are_read(
        string url, string host, int port, string? user, string? password, string? database)
    {
        var read = DatabaseUrl.Postgres(url);
        Assert.Equal(
            (host, port, user, password, database),
            (read.Host, read.Port, read.Username, read.Password, read.Database));
    }

    [Theory]
    [InlineData("")]
    [InlineData("mysql://u:secret@h/db")]
    [InlineData("postgres://u:secret@h:port/db")]
    [InlineData("postgres://u:secret@h/db?no_such_option=1")]
    [InlineData("sqlite:")]
    [InlineData("sqlite::memory:")]
    public async Task What_makes_no_sense_is_refused_without_its_password(string url)
    {
        var refused = await Assert.ThrowsAsync<FormatException>(async () => await Store.OpenAsync(
            new StoreOptions { DatabaseUrl = url, DataDirectory = "/nonexistent" }, default));
        Assert.StartsWith("The database URL must ", refused.Message);
        Assert.DoesNotContain("secret", refused.ToString());
        Assert.DoesNotContain("secret", DatabaseUrl.Redact(url));
    }
}
