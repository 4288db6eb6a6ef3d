using Microsoft.Data.Sqlite;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Sqlite;

namespace Runtara.Persistence.Tests.Sqlite;

/// <summary>A commit that fails in a way of its own must not stay open: it would refuse all that follow.</summary>
public sealed class SqliteLaneTests(SqliteFixture fixture) : IClassFixture<SqliteFixture>
{
    [Theory]
    [InlineData("BEGIN")]
    [InlineData("INSERT INTO journal")]
    [InlineData("COMMIT")]
    public async Task A_failure_of_any_kind_leaves_the_lane_as_it_was(string statement)
    {
        var id = $"lane-{Guid.NewGuid():N}";
        var database = (SqliteDatabase)fixture.Store.Database;
        using var first = database.Connect();
        await using var connection = new BreakingConnection(first.ConnectionString);
        await connection.OpenAsync();
        await using var lane = new SqliteLane(database.WriteGate, () => connection);
        await lane.CommitAsync([Unit(id, 1)], default);
        connection.Breaks = statement;
        await Assert.ThrowsAsync<OutOfMemoryException>(async () => await lane.CommitAsync([Unit(id, 2)], default));
        connection.Breaks = null;
        await lane.CommitAsync([Unit(id, 3)], default);
        Assert.Equal("1 3", await fixture.ExecuteAsync(
            $"SELECT group_concat(seq, ' ') FROM journal WHERE persistence_id = '{id}'"));
    }

    private static AtomicUnit Unit(string id, long number) =>
        new(null!, id, [new JournalRow(id, number, 0, 1, "m", "w", [1], null)], null);

    private sealed class BreakingConnection(string connectionString) : SqliteConnection(connectionString)
    {
        public string? Breaks { get; set; }

        public override SqliteCommand CreateCommand() => new BreakingCommand(this);
    }

    private sealed class BreakingCommand : SqliteCommand
    {
        private readonly BreakingConnection _owner;

        public BreakingCommand(BreakingConnection owner) => Connection = _owner = owner;

        public override int ExecuteNonQuery()
        {
            var breaks = _owner.Breaks is { } text && CommandText.StartsWith(text, StringComparison.Ordinal);
            // It has begun when it is heard of; all else fails before it is carried out.
            if (breaks && CommandText != "BEGIN IMMEDIATE")
                throw new OutOfMemoryException("on purpose");
            var rows = base.ExecuteNonQuery();
            return breaks ? throw new OutOfMemoryException("on purpose") : rows;
        }
    }
}
