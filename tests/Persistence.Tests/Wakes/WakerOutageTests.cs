using Akka.Actor;
using Akka.Event;
using Akka.TestKit.Xunit2;
using Runtara.Actors.Instances;
using Runtara.Actors.Wakes;

namespace Runtara.Persistence.Tests.Wakes;

/// <summary>A waker goes on asking a catalog that cannot be read, and says so once.</summary>
public sealed class WakerOutageTests() : TestKit("akka.loglevel = WARNING")
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task A_catalog_that_cannot_be_read_is_one_line_without_a_stack()
    {
        var log = CreateTestProbe();
        Sys.EventStream.Subscribe(log.Ref, typeof(Warning));
        var catalog = new BrokenCatalog();
        Sys.ActorOf(Props.Create(
            typeof(WakerActor), 3, catalog, new WakeSettings { ScanInterval = TimeSpan.FromMilliseconds(20) },
            TimeProvider.System));

        var line = await log.ExpectMsgAsync<Warning>(Limit);
        Assert.Equal("the waker of shard 3 cannot read the catalog, and tries again: away", line.Message.ToString());
        Assert.Null(line.Cause);
        await AwaitConditionAsync(() => Task.FromResult(catalog.Scans >= 5), Limit);
        await log.ExpectNoMsgAsync(TimeSpan.Zero);
    }

    private sealed class BrokenCatalog : IWakeCatalog
    {
        private int _scans;

        internal int Scans => Volatile.Read(ref _scans);

        public ValueTask<IReadOnlyList<DueInstance>> ReadDueAsync(
            int shard, DateTimeOffset before, int limit, CancellationToken cancellation)
        {
            Interlocked.Increment(ref _scans);
            return ValueTask.FromException<IReadOnlyList<DueInstance>>(new IOException("away"));
        }

        public ValueTask<IReadOnlyList<InstanceId>> ReadLiveAsync(int shard, CancellationToken cancellation) =>
            ValueTask.FromException<IReadOnlyList<InstanceId>>(new IOException("away"));
    }
}
