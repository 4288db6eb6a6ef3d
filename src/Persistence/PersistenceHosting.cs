using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using Akka.Hosting;
using Runtara.Persistence.Journal;
using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence;

/// <summary>Binds an actor system to its store.</summary>
public sealed class JournalSetup(Store store) : Setup
{
    /// <summary>The store that the system's journal writes to.</summary>
    public Store Store { get; } = store;

    internal static Store StoreOf(ActorSystem system) =>
        system.Settings.Setup.Get<JournalSetup>() is { HasValue: true, Value: var setup }
            ? setup.Store
            : throw new InvalidOperationException("The actor system has no JournalSetup: see PersistenceHosting");
}

/// <summary>Registers the plugins <c>runtara.journal</c> and <c>runtara.snapshots</c>.</summary>
public static class PersistenceHosting
{
    /// <summary>The journal's plugin id.</summary>
    public const string PluginId = "runtara.journal";

    /// <summary>The snapshot store's plugin id.</summary>
    public const string SnapshotPluginId = "runtara.snapshots";

    /// <summary>
    /// The configuration for an actor system that is not built by Akka.Hosting; it also needs a
    /// <see cref="JournalSetup"/>.
    /// </summary>
    public static Config Config { get; } = ConfigurationFactory.ParseString(
        $$"""
        runtara.journal {
          class = "{{typeof(RuntaraJournal).FullName}}, {{typeof(RuntaraJournal).Assembly.GetName().Name}}"
          plugin-dispatcher = "akka.actor.default-dispatcher"
        }
        runtara.snapshots {
          class = "{{typeof(RuntaraSnapshots).FullName}}, {{typeof(RuntaraSnapshots).Assembly.GetName().Name}}"
          plugin-dispatcher = "akka.actor.default-dispatcher"
        }
        akka.persistence {
          journal.plugin = "{{PluginId}}"
          snapshot-store.plugin = "{{SnapshotPluginId}}"
          max-concurrent-recoveries = 500
        }
        """);

    /// <summary>
    /// Makes <paramref name="store"/> the journal and snapshot store of this actor system and starts both with the
    /// system. The caller disposes the store.
    /// </summary>
    public static AkkaConfigurationBuilder AddRuntaraJournal(this AkkaConfigurationBuilder builder, Store store) =>
        builder.AddSetup(new JournalSetup(store)).AddHocon(Config, HoconAddMode.Prepend).WithActors(
            (system, _) => StartJournal(system));

    /// <summary>
    /// Starts the plugins and the scheduler now. Left to the first persistent actors, their start blocks the threads of
    /// these; a thousand that start together then hold every thread of the pool, and what they wait for waits for one.
    /// </summary>
    public static void StartJournal(ActorSystem system)
    {
        var persistence = Akka.Persistence.Persistence.Instance.Apply(system);
        persistence.JournalFor(PluginId);
        persistence.SnapshotStoreFor(SnapshotPluginId);
        system.Scheduler.Advanced.ScheduleOnce(TimeSpan.Zero, static () => { });
    }
}
