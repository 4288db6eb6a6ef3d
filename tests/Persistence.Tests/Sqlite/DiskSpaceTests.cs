using Microsoft.Data.Sqlite;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Persistence.Sqlite;

namespace Runtara.Persistence.Tests.Sqlite;

/// <summary>What a disk is out of is told by what it has left and by the number of the system's error.</summary>
public sealed class DiskSpaceTests : IDisposable
{
    private const int NoSpaceLeft = 28, QuotaUsedUp = 122, InputOutput = 5;
    private readonly Mounted _disk = Mounted.SmallDisk(1 << 20, inodes: 20);

    public void Dispose() => _disk.Dispose();

    private string Database => Path.Combine(_disk.Path, "runtara.db");

    [Theory]
    [InlineData(NoSpaceLeft, "the disk is full (words); make room on the disk of '{0}'")]
    [InlineData(QuotaUsedUp, "the disk quota is used up (words); raise it, or remove something below '{0}'")]
    [InlineData(InputOutput, null)]
    public void The_number_of_the_error_tells_a_full_disk_from_a_quota(int error, string? expected) =>
        Assert.Equal(
            expected is null ? null : string.Format(null, expected, Database),
            DiskSpace.Describe(new IOException("words.", error), Database));

    [Fact]
    public void A_disk_without_inodes_is_none_without_bytes_and_SQLite_says_neither()
    {
        _disk.FillInodes();
        const string expected = "no inodes are free (";
        var system = Assert.Throws<IOException>(() => File.Create(Database));
        Assert.StartsWith(expected, DiskSpace.Describe(system, Database), StringComparison.Ordinal);
        var text = DiskSpace.Describe(OpeningFails(), Database);
        Assert.StartsWith($"{expected}SQLite Error 14", text, StringComparison.Ordinal);
        Assert.EndsWith($"remove files from the disk of '{Database}'", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_failure_of_another_cause_on_a_disk_with_room_is_none_of_the_disk_and_leaves_nothing_there()
    {
        Directory.CreateDirectory(Database);
        Assert.Null(DiskSpace.Describe(OpeningFails(), Database));
        Assert.Null(DiskSpace.Describe(new InvalidOperationException("words"), Database));
        Assert.Empty(Directory.GetFiles(_disk.Path, "*", new EnumerationOptions { AttributesToSkip = 0 }));
    }

    private SqliteException OpeningFails()
    {
        using var connection = new SqliteConnection($"Data Source={Database};Pooling=False");
        return Assert.Throws<SqliteException>(() =>
        {
            connection.Open();
            SqliteDatabase.Execute(connection, "PRAGMA journal_mode = WAL");
        });
    }
}
