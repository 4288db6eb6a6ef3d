using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Runtara.Daemon;
using Runtara.Daemon.Configuration;

namespace Runtara.Host.Tests;

public sealed class DoorsTests
{
    [Fact]
    public async Task A_door_that_fails_stops_the_daemon()
    {
        var lifetime = new Lifetime();
        var doors = new Doors(
            new DaemonOptions(), null!, null!, null!, TimeProvider.System, null!, lifetime, NullLoggerFactory.Instance);
        var failure = new TaskCompletionSource<Exception>();
        var watching = doors.StopAfterAsync(failure.Task);
        Assert.False(lifetime.IsStopping);

        failure.SetResult(new IOException("the socket is gone"));

        await watching;
        Assert.True(lifetime.IsStopping);
        Assert.False(doors.AreOpen);
    }

    private sealed class Lifetime : IHostApplicationLifetime
    {
        public bool IsStopping { get; private set; }

        public CancellationToken ApplicationStarted => default;

        public CancellationToken ApplicationStopping => default;

        public CancellationToken ApplicationStopped => default;

        public void StopApplication() => IsStopping = true;
    }
}
