using Akka.Actor;
using CsCheck;
using Runtara.Actors.Instances;
using Runtara.Actors.Journal;
using Runtara.Actors.Tests.Instances;

namespace Runtara.Actors.Tests.Proof;

/// <summary>A snapshot holds all that the events before it made, in every generated life.</summary>
public sealed class InstanceSnapshotProofTests : IDisposable
{
    private const int LivesMin = 5000;

    private readonly ActorSystem _system = ActorSystem.Create("snapshots");
    private readonly InstanceSnapshotSerializer _snapshots;
    private readonly InstanceEventSerializer _events;

    public InstanceSnapshotProofTests()
    {
        _snapshots = new InstanceSnapshotSerializer((ExtendedActorSystem)_system);
        _events = new InstanceEventSerializer((ExtendedActorSystem)_system);
    }

    public void Dispose() => _system.Dispose();

    [Fact]
    public void A_snapshot_after_any_event_is_the_state_that_the_journal_gives() => Step.Lives.Sample(
        life =>
        {
            InstanceState state = new InstanceState.Absent();
            foreach (var happened in Life.Live(life).Select(Read))
            {
                state = state.Apply(happened);
                Assert.Equal(Whole.Of(state), Whole.Of(Read(state, happened.At)));
            }
            return true;
        },
        iter: LivesMin, print: Step.Print);

    [Fact]
    public void The_events_after_a_snapshot_lead_to_the_same_end() => Gen.Select(Step.Lives, Gen.Double.Unit).Sample(
        (life, where) =>
        {
            var journal = Life.Live(life).Select(Read).ToList();
            if (journal.Count == 0)
                return true;
            var before = 1 + (int)(where * (journal.Count - 1));
            var state = Read(Replay(new InstanceState.Absent(), journal.Take(before)), journal[before - 1].At);
            Assert.Equal(
                Whole.Of(Replay(new InstanceState.Absent(), journal)),
                Whole.Of(Replay(state, journal.Skip(before))));
            return true;
        },
        iter: LivesMin, print: t => $"{Step.Print(t.Item1)} at {t.Item2}");

    [Fact]
    public void A_life_that_is_kept_as_a_snapshot_after_each_step_is_the_same_life() => Step.Lives.Sample(
        life =>
        {
            // Times apart, and without the recoveries, which compare them: a snapshot is exact to the microsecond, as
            // the journal is, and memory to a tenth of it.
            Step[] steps = [.. life.Where(s => s.Act != Act.Recover)];
            var without = Life.Live(steps).Select(e => Whole.Of(e, times: false));
            var with = Life.Live(steps, Kept).Select(e => Whole.Of(e, times: false));
            Assert.Equal(without, with);
            return true;
        },
        iter: LivesMin, print: Step.Print);

    private InstanceState Kept(InstanceState state) => state switch
    {
        InstanceState.Absent => state,
        InstanceState.Live live => ((InstanceState.Live)Read(state, default)) with { Presence = live.Presence },
        _ => Read(state, default),
    };

    private static InstanceState Replay(InstanceState from, IEnumerable<InstanceEvent> events) =>
        events.Aggregate(from, (state, happened) => state.Apply(happened));

    private InstanceEvent Read(InstanceEvent happened) =>
        (InstanceEvent)_events.FromBinary(_events.ToBinary(happened), _events.Manifest(happened));

    private InstanceState Read(InstanceState state, DateTimeOffset at)
    {
        var snapshot = new InstanceSnapshot(state, at);
        var read = (InstanceSnapshot)_snapshots.FromBinary(
            _snapshots.ToBinary(snapshot), _snapshots.Manifest(snapshot));
        Assert.Equal(at, read.At);
        return read.State;
    }
}
