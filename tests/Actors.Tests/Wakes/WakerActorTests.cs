using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Cluster;
using Akka.Cluster.Sharding;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using Runtara.Actors.Instances;
using Runtara.Actors.Wakes;

namespace Runtara.Actors.Tests.Wakes;

/// <summary>A waker tells each sleeper once that its time has come, and not before.</summary>
public sealed class WakerActorTests : TestKit
{
    private const int Shard = 3;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(50);

    private readonly Clock _clock = new();
    private readonly Catalog _catalog = new();
    private readonly TestProbe _told;

    public WakerActorTests()
        : base("""
            akka.actor.provider = cluster
            akka.remote.dot-netty.tcp { hostname = "127.0.0.1", port = 0 }
            akka.loglevel = WARNING
            """)
    {
        _told = CreateTestProbe();
        Cluster.Get(Sys).Join(Cluster.Get(Sys).SelfAddress);
        ClusterSharding.Get(Sys).Start(
            InstanceHosting.Region, _ => Props.Create(typeof(Instance), _told.Ref), ClusterShardingSettings.Create(Sys),
            new InstanceMessageExtractor());
    }

    private IActorRef Start(TimeSpan? scanInterval = null, int scanLimit = 100) => Sys.ActorOf(Props.Create(
        typeof(WakerActor), Shard, _catalog,
        new WakeSettings { ScanInterval = scanInterval ?? TimeSpan.FromHours(1), ScanLimit = scanLimit }, _clock));

    private static InstanceId Id(int number = 0) => new($"sleeper-{number}");

    private void Expect(IActorRef waker, TimeSpan after) =>
        waker.Tell(new WakerMessage.Expect(Shard, Id(), _clock.Now + after));

    private async Task IsWokenAsync(InstanceId id) =>
        Assert.Equal(id, (await _told.ExpectMsgAsync<InstanceCommand.Wake>(Limit)).Instance);

    /// <summary>The waker has looked at the clock so often more.</summary>
    private Task LooksAsync(int times)
    {
        var until = _clock.Looks + times;
        return AwaitConditionAsync(() => Task.FromResult(_clock.Looks >= until), Limit);
    }

    [Fact]
    public async Task A_ring_before_its_time_wakes_nobody_and_the_next_one_does()
    {
        var waker = Start();
        Expect(waker, Soon);
        await LooksAsync(5);
        Assert.False(_told.HasMessages);
        _clock.Pass(Soon);
        await IsWokenAsync(Id());
        Expect(waker, TimeSpan.Zero);
        await IsWokenAsync(Id());
        Assert.False(_told.HasMessages);
    }

    [Fact]
    public async Task A_wake_time_that_has_come_nearer_is_met()
    {
        var waker = Start();
        Expect(waker, TimeSpan.FromSeconds(9));
        Expect(waker, Soon);
        await LooksAsync(5);
        _clock.Pass(Soon);
        await IsWokenAsync(Id());
    }

    [Fact]
    public async Task A_sleeper_that_is_expected_twice_is_woken_once()
    {
        var waker = Start();
        Expect(waker, Soon);
        Expect(waker, Soon);
        await LooksAsync(10);
        _clock.Pass(Soon);
        await IsWokenAsync(Id());
        waker.Tell(new WakerMessage.Expect(Shard, Id(1), _clock.Now));
        await IsWokenAsync(Id(1));
    }

    [Fact]
    public async Task Who_is_due_later_is_left_to_the_scan_that_finds_it()
    {
        var waker = Start(scanInterval: TimeSpan.FromMilliseconds(20));
        Expect(waker, TimeSpan.FromMinutes(1));
        _catalog.Sleepers.Enqueue(new DueInstance(Id(1), _clock.Now + TimeSpan.FromMinutes(1)));
        await LooksAsync(5);
        Assert.False(_told.HasMessages);
        Assert.Single(_catalog.Sleepers);
        _clock.Pass(TimeSpan.FromMinutes(1));
        await IsWokenAsync(Id(1));
        await LooksAsync(5);
        Assert.False(_told.HasMessages);
    }

    [Fact]
    public async Task After_a_scan_that_met_its_limit_the_rest_does_not_wait_for_the_next()
    {
        for (var n = 0; n < 5; n++)
            _catalog.Sleepers.Enqueue(new DueInstance(Id(n), _clock.Now));
        Start(scanInterval: TimeSpan.FromSeconds(10), scanLimit: 4);
        for (var n = 0; n < 5; n++)
            Assert.NotNull(await _told.ExpectMsgAsync<InstanceCommand.Wake>(n == 0 ? Limit : TimeSpan.FromSeconds(8)));
    }

    [Fact]
    public async Task Who_must_be_in_memory_is_called_at_the_start()
    {
        _catalog.Live = [Id(7)];
        Start();
        Assert.Equal(Id(7), (await _told.ExpectMsgAsync<InstanceCommand.Ensure>(Limit)).Instance);
    }

    private sealed class Instance(IActorRef told) : ReceiveActor
    {
        protected override bool AroundReceive(Receive receive, object message)
        {
            told.Tell(message);
            return true;
        }
    }

    private sealed class Catalog : IWakeCatalog
    {
        public ConcurrentQueue<DueInstance> Sleepers { get; } = [];

        public IReadOnlyList<InstanceId> Live { get; set; } = [];

        public ValueTask<IReadOnlyList<DueInstance>> ReadDueAsync(
            int shard, DateTimeOffset before, int limit, CancellationToken cancellation)
        {
            var due = new List<DueInstance>();
            while (due.Count < limit && Sleepers.TryPeek(out var next) && next.WakeAt < before)
            {
                Sleepers.TryDequeue(out _);
                due.Add(next);
            }
            return ValueTask.FromResult<IReadOnlyList<DueInstance>>(due);
        }

        public ValueTask<IReadOnlyList<InstanceId>> ReadLiveAsync(int shard, CancellationToken cancellation) =>
            ValueTask.FromResult(Live);
    }
}
