using Akka;
using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Event;
using Runtara.Actors.Instances;

namespace Runtara.Actors.Wakes;

/// <summary>What is said to the waker of a shard; routed by the shard region like a command.</summary>
public abstract record WakerMessage(int Shard)
{
    /// <summary>
    /// Be there, and say so (<see cref="WakerIsThere"/>). Sent by every node each second, so a shard lost in a crash is
    /// allocated again.
    /// </summary>
    public sealed record Ping(int Shard) : WakerMessage(Shard);

    /// <summary>An instance of the shard fell asleep; it may be due before the next scan.</summary>
    public sealed record Expect(int Shard, InstanceId Instance, DateTimeOffset WakeAt) : WakerMessage(Shard);
}

/// <summary>The answer to <see cref="WakerMessage.Ping"/>: the shard has a home.</summary>
public sealed record WakerIsThere(int Shard);

/// <summary>How wakers work; HOCON section <c>runtara.wakes</c>.</summary>
public sealed record WakeSettings
{
    /// <summary>How often the catalog is asked. Default 5 s.</summary>
    public TimeSpan ScanInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How far ahead it is asked; more than the interval, so that no wake falls between. Default 10 s.
    /// </summary>
    public TimeSpan Horizon { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How often pending and running instances are called into memory again, should one have stopped there (a write
    /// that failed takes its actor with it). Default 30 s.
    /// </summary>
    public TimeSpan EnsureInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How many due instances one query reads. Default 10,000.</summary>
    public int ScanLimit { get; init; } = 10_000;
}

/// <summary>
/// Wakes the sleepers of one shard (D5). It lives in the same region as they do, under an id that no instance can
/// have. At its start and now and then it also calls into memory what must live there: that is the whole of recovery
/// after a crash, of this process or of a single actor.
/// A wake is a message; the state machine makes a second one harmless.
/// </summary>
public sealed class WakerActor : UntypedActor, IWithTimers
{
    private const string IdPrefix = "$waker-";

    private readonly int _shard;
    private readonly IWakeCatalog _catalog;
    private readonly WakeSettings _settings;
    private readonly TimeProvider _time;
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly PriorityQueue<InstanceId, DateTimeOffset> _due = new();
    private readonly Dictionary<InstanceId, DateTimeOffset> _known = [];
    private DateTimeOffset _ringAt = DateTimeOffset.MaxValue;
    private bool _scanning;
    private bool _complained;

    /// <summary>Made by the shard.</summary>
    public WakerActor(int shard, IWakeCatalog catalog, WakeSettings settings, TimeProvider time)
    {
        _shard = shard;
        _catalog = catalog;
        _settings = settings;
        _time = time;
    }

    /// <inheritdoc />
    public ITimerScheduler Timers { get; set; } = null!;

    /// <summary>The entity id of a shard's waker.</summary>
    public static string EntityId(int shard) => $"{IdPrefix}{shard}";

    /// <summary>The shard of a waker's entity id; null when it is an instance's id.</summary>
    public static int? ShardOf(string entityId) =>
        entityId.StartsWith(IdPrefix, StringComparison.Ordinal) ? int.Parse(entityId.AsSpan(IdPrefix.Length)) : null;

    /// <inheritdoc />
    protected override void PreStart()
    {
        ReadLive();
        Scan();
        Timers.StartPeriodicTimer(nameof(ScanNow), ScanNow.Instance, _settings.ScanInterval);
        Timers.StartPeriodicTimer(nameof(ReadLiveNow), ReadLiveNow.Instance, _settings.EnsureInterval);
    }

    /// <inheritdoc />
    protected override void OnReceive(object message)
    {
        switch (message)
        {
            case WakerMessage.Ping:
                Sender.Tell(new WakerIsThere(_shard));
                break;
            case WakerMessage.Expect e when e.WakeAt <= _time.GetUtcNow() + _settings.Horizon:
                Add(e.Instance, e.WakeAt);
                Ring();
                break;
            case WakerMessage.Expect:
                break;
            case ScanNow:
                Scan();
                break;
            case Scanned s:
                (_scanning, _complained) = (false, false);
                foreach (var sleeper in s.Due)
                    Add(sleeper.Instance, sleeper.WakeAt);
                Ring();
                if (s.Due.Count == _settings.ScanLimit)
                    Timers.StartSingleTimer(nameof(Scanned), ScanNow.Instance, _settings.ScanInterval / 10);
                break;
            case RingNow:
                _ringAt = DateTimeOffset.MaxValue;
                Ring();
                break;
            case LiveFound found:
                foreach (var instance in found.Instances)
                    Region.Tell(new InstanceCommand.Ensure(instance));
                break;
            case Unreadable u:
                _scanning &= u.Live;
                Complain(u.Cause);
                if (u.Live)
                    Timers.StartSingleTimer(nameof(LiveFound), ReadLiveNow.Instance, _settings.ScanInterval);
                break;
            case ReadLiveNow:
                ReadLive();
                break;
            default:
                Unhandled(message);
                break;
        }
    }

    // Once, and without a stack: an outage meets the wakers of all shards, again and again.
    private void Complain(Exception cause)
    {
        const string line = "the waker of shard {Shard} cannot read the catalog, and tries again: {Cause}";
        if (_complained)
            _log.Debug(line, _shard, cause.Message);
        else
            _log.Warning(line, _shard, cause.Message);
        _complained = true;
    }

    private static IActorRef Region => ClusterSharding.Get(Context.System).ShardRegion(InstanceHosting.Region);

    private void ReadLive() => _catalog.ReadLiveAsync(_shard, CancellationToken.None).AsTask().PipeTo(
        Self, success: found => new LiveFound(found), failure: cause => new Unreadable(cause, Live: true));

    private void Scan()
    {
        if (_scanning)
            return;
        _scanning = true;
        _catalog.ReadDueAsync(
                _shard, _time.GetUtcNow() + _settings.Horizon, _settings.ScanLimit, CancellationToken.None)
            .AsTask()
            .PipeTo(Self, success: due => new Scanned(due), failure: cause => new Unreadable(cause, Live: false));
    }

    private void Add(InstanceId instance, DateTimeOffset wakeAt)
    {
        if (_known.TryGetValue(instance, out var known) && known == wakeAt)
            return;
        _known[instance] = wakeAt;
        _due.Enqueue(instance, wakeAt);
    }

    private void Ring()
    {
        var now = _time.GetUtcNow();
        while (_due.TryPeek(out var instance, out var wakeAt) && wakeAt <= now)
        {
            _due.Dequeue();
            if (_known.TryGetValue(instance, out var known) && known == wakeAt)
                _known.Remove(instance);
            Region.Tell(new InstanceCommand.Wake(instance));
        }
        if (!_due.TryPeek(out _, out var next) || next >= _ringAt)
            return;
        _ringAt = next;
        Timers.StartSingleTimer(nameof(RingNow), RingNow.Instance, next - now);
    }

    private sealed record ScanNow
    {
        public static readonly ScanNow Instance = new();
    }

    private sealed record RingNow
    {
        public static readonly RingNow Instance = new();
    }

    private sealed record ReadLiveNow
    {
        public static readonly ReadLiveNow Instance = new();
    }

    private sealed record Scanned(IReadOnlyList<DueInstance> Due);

    private sealed record LiveFound(IReadOnlyList<InstanceId> Instances);

    private sealed record Unreadable(Exception Cause, bool Live);
}

/// <summary>
/// Pings the wakers of all shards each second, from every node. It ends before the shard region does, and not before
/// every ping has come to a waker: a region that leaves is given no more shards, and does not end while it keeps a
/// message for one that has no home.
/// </summary>
/// <param name="region">The shard region.</param>
public sealed class WakeClock(IActorRef region) : UntypedActor, IWithTimers
{
    // Less than the phase of the shutdown has.
    private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(3);

    private readonly HashSet<int> _unanswered = [];
    private bool _stopping;

    /// <inheritdoc />
    public ITimerScheduler Timers { get; set; } = null!;

    /// <summary>Ends the clock of an actor system that shuts down; gives up when that takes too long.</summary>
    public static async Task<Done> StopAsync(IActorRef clock)
    {
        Task ended = clock.GracefulStop(StopWithin, Stop.Instance);
        await ended.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return Done.Instance;
    }

    /// <inheritdoc />
    protected override void PreStart() =>
        Timers.StartPeriodicTimer("ping", PingAll.Instance, TimeSpan.Zero, TimeSpan.FromSeconds(1));

    /// <inheritdoc />
    protected override void OnReceive(object message)
    {
        switch (message)
        {
            case PingAll when !_stopping:
                for (var shard = 0; shard < InstanceShard.Count; shard++)
                {
                    _unanswered.Add(shard);
                    region.Tell(new WakerMessage.Ping(shard));
                }
                break;
            case PingAll:
                break;
            case WakerIsThere there:
                _unanswered.Remove(there.Shard);
                break;
            case Stop:
                _stopping = true;
                Timers.CancelAll();
                break;
            default:
                Unhandled(message);
                break;
        }
        if (_stopping && _unanswered.Count == 0)
            Context.Stop(Self);
    }

    private sealed class PingAll
    {
        public static readonly PingAll Instance = new();
    }

    private sealed class Stop
    {
        public static readonly Stop Instance = new();
    }
}
