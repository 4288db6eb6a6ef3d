using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using Akka.Hosting;
using Runtara.Persistence.Journal;

namespace Runtara.Persistence;

/// <summary>Binds an actor system to its store.</summary>
public sealed class JournalSetup(Store store) : Setup
{
    /// <summary>The store that the system's journal writes to.</summary>
    public Store Store { get; } = store;
}

/// <summary>Registers the journal plugin <c>runtara.journal</c>.</summary>
public static class PersistenceHosting
{
    /// <summary>The journal's plugin id.</summary>
    public const string PluginId = "runtara.journal";

    /// <summary>
    /// The configuration for an actor system that is not built by Akka.Hosting; it also needs a
    /// <see cref="JournalSetup"/>. There is no snapshot store: recoveries read events.
    /// </summary>
    public static Config Config { get; } = ConfigurationFactory.ParseString(
        $$"""
        runtara.journal {
          class = "{{typeof(RuntaraJournal).FullName}}, {{typeof(RuntaraJournal).Assembly.GetName().Name}}"
          plugin-dispatcher = "akka.actor.default-dispatcher"
        }
        akka.persistence {
          journal.plugin = "{{PluginId}}"
          snapshot-store.plugin = "akka.persistence.no-snapshot-store"
          max-concurrent-recoveries = 500
        }
        """);

    /// <summary>
    /// Makes <paramref name="store"/> the journal of this actor system and starts it with the system. The caller
    /// disposes the store.
    /// </summary>
    public static AkkaConfigurationBuilder AddRuntaraJournal(this AkkaConfigurationBuilder builder, Store store) =>
        builder.AddSetup(new JournalSetup(store)).AddHocon(Config, HoconAddMode.Prepend).WithActors(
            (system, _) => StartJournal(system));

    /// <summary>
    /// Starts the journal and the scheduler now. Left to the first persistent actors, their start blocks the threads of
    /// these; a thousand that start together then hold every thread of the pool, and what they wait for waits for one.
    /// </summary>
    public static void StartJournal(ActorSystem system)
    {
        Akka.Persistence.Persistence.Instance.Apply(system).JournalFor(PluginId);
        system.Scheduler.Advanced.ScheduleOnce(TimeSpan.Zero, static () => { });
    }
}
