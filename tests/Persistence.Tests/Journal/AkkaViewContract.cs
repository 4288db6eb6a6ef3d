using System.Collections.Immutable;
using Akka.Actor;
using Akka.Persistence;
using Akka.TestKit.Xunit2;

namespace Runtara.Persistence.Tests.Journal;

/// <summary>Nobody is locked in: Akka.Persistence.Sql's own journal replays what ours wrote.</summary>
public abstract class AkkaViewContract(StoreFixture fixture, string provider, string connectionString)
    : TestKit(TestSystem.Setup(fixture.Store, Hocon(provider, connectionString)), "view")
{
    [Fact]
    public void The_sql_journal_replays_our_rows()
    {
        var (probe, id) = (CreateTestProbe(), $"view-{Guid.NewGuid():N}");
        var events = Enumerable.Range(1, 50).Select(i => (IPersistentRepresentation)new Persistent(
            i % 2 == 0 ? $"text {i}" : new Blob($"blob {i}"), i, id, "", false, ActorRefs.NoSender, "the-writer"));
        Journal(null).Tell(new WriteMessages([new AtomicWrite(events.ToImmutableList())], probe.Ref, 1));
        probe.ExpectMsg<WriteMessagesSuccessful>();

        var receiver = CreateTestProbe();
        Journal("akka.persistence.journal.sql").Tell(new ReplayMessages(3, 40, long.MaxValue, id, receiver.Ref));
        for (var i = 3; i <= 40; i++)
        {
            object expected = i % 2 == 0 ? $"text {i}" : new Blob($"blob {i}");
            receiver.ExpectMsg<ReplayedMessage>(
                m =>
                {
                    var p = m.Persistent;
                    Assert.Equal(
                        (id, (long)i, expected, "the-writer"),
                        (p.PersistenceId, p.SequenceNr, p.Payload, p.WriterGuid));
                },
                TimeSpan.FromSeconds(20));
        }
        receiver.ExpectMsg<RecoverySuccess>(m => Assert.Equal(50, m.HighestSequenceNr));
    }

    private IActorRef Journal(string? plugin) => Akka.Persistence.Persistence.Instance.Apply(Sys).JournalFor(plugin);

    private static string Hocon(string provider, string connectionString) =>
        $$"""
        akka.persistence.journal.sql {
          class = "Akka.Persistence.Sql.Journal.SqlWriteJournal, Akka.Persistence.Sql"
          provider-name = "{{provider}}"
          connection-string = "{{connectionString}}"
          auto-initialize = off
          tag-write-mode = Csv
          default.journal.table-name = akka_journal
        }
        """;
}

public sealed class SqliteAkkaViewTests(SqliteFixture fixture)
    : AkkaViewContract(fixture, "SQLite.MS", $"Data Source={fixture.DataDirectory}/store.db"),
        IClassFixture<SqliteFixture>;

[Collection(PostgresCollection.Name)]
public sealed class PostgresAkkaViewTests(PostgresFixture fixture)
    : AkkaViewContract(
        fixture, "PostgreSQL.15",
        $"Host=127.0.0.1;Port={fixture.Server.Port};Username=postgres;Database={fixture.Database}"),
    IClassFixture<PostgresFixture>;
