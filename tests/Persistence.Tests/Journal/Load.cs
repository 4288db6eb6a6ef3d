using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Persistence;

namespace Runtara.Persistence.Tests.Journal;

/// <summary>Actors that persist one event after the other, and what was acknowledged to them.</summary>
internal sealed class Load(ActorSystem system, string prefix, int actors) : IDisposable
{
    private readonly ConcurrentDictionary<string, long> _acknowledged = [];
    private volatile bool _stopping;
    private volatile Exception? _failure;
    private int _stopped;
    private int _ended;

    /// <summary>How many events were acknowledged to each id.</summary>
    public IReadOnlyDictionary<string, long> Acknowledged => _acknowledged;

    public long Total => _acknowledged.Values.Sum();

    /// <summary>How many actors stopped although nobody told them to.</summary>
    public int Killed => _stopped;

    public void Start()
    {
        PersistenceHosting.StartJournal(system);
        for (var i = 0; i < actors; i++)
            system.ActorOf(Props.Create(typeof(Writer), this, $"{prefix}-{i}"));
    }

    /// <summary>Waits until each actor has been acknowledged this many more events; none may stop meanwhile.</summary>
    public async Task ProgressAsync(int each, TimeSpan limit)
    {
        var goals = Enumerable.Range(0, actors).ToDictionary(
            i => $"{prefix}-{i}", i => _acknowledged.GetValueOrDefault($"{prefix}-{i}") + each);
        try
        {
            await WaitAsync(
                () => _failure is not null || goals.All(g => _acknowledged.GetValueOrDefault(g.Key) >= g.Value), limit);
        }
        catch (OperationCanceledException)
        {
            var late = goals.Where(g => _acknowledged.GetValueOrDefault(g.Key) < g.Value).Select(g => g.Key);
            Assert.Fail($"No progress in {limit} by: {string.Join(", ", late)}");
        }
        if (_failure is not null)
            throw new InvalidOperationException($"A write failed: {_failure.Message}", _failure);
    }

    /// <summary>Ends the load: each actor finishes the event that it has under way.</summary>
    public async Task StopAsync()
    {
        _stopping = true;
        await WaitAsync(() => _ended + _stopped == actors, TimeSpan.FromSeconds(30));
    }

    public void Dispose() => _stopping = true;

    public static async Task WaitAsync(Func<bool> condition, TimeSpan limit)
    {
        using var deadline = new CancellationTokenSource(limit);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!condition())
            await timer.WaitForNextTickAsync(deadline.Token);
    }

    internal sealed class Writer(Load load, string id) : UntypedPersistentActor
    {
        private bool _finished;

        public override string PersistenceId { get; } = id;

        protected override void PreStart() => Self.Tell("next");

        protected override void PostStop()
        {
            if (!_finished && !load._stopping)
                Interlocked.Increment(ref load._stopped);
        }

        protected override void OnPersistFailure(Exception cause, object @event, long sequenceNr) =>
            load._failure ??= cause;

        protected override void OnPersistRejected(Exception cause, object @event, long sequenceNr) =>
            load._failure ??= cause;

        protected override void OnRecoveryFailure(Exception reason, object? message = null) =>
            load._failure ??= reason;

        protected override void OnRecover(object message)
        {
        }

        protected override void OnCommand(object message)
        {
            if (load._stopping)
            {
                _finished = true;
                Interlocked.Increment(ref load._ended);
                Context.Stop(Self);
                return;
            }
            Persist(new Blob("an event of an ordinary size, say some eighty bytes"), _ =>
            {
                load._acknowledged[PersistenceId] = LastSequenceNr;
                Self.Tell("next");
            });
        }
    }
}
