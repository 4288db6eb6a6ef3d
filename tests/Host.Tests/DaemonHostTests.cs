using System.Collections;
using System.Net;
using System.Net.Sockets;
using Akka.Actor;
using Microsoft.Extensions.DependencyInjection;
using Runtara.Daemon;
using Runtara.Daemon.Configuration;
using Runtara.Persistence;

namespace Runtara.Host.Tests;

/// <summary>The composition, in the test's own process.</summary>
public sealed class DaemonHostTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("runtara-host-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_daemon_whose_actors_end_by_themselves_has_failed() =>
        Assert.Equal(1, await RunAsync((actors, _) => actors.Terminate()));

    [Fact]
    public async Task A_daemon_that_is_told_to_stop_has_not() =>
        Assert.Equal(0, await RunAsync((_, stop) => stop.Cancel()));

    private async Task<int> RunAsync(Action<ActorSystem, CancellationTokenSource> end)
    {
        var configuration = DaemonConfiguration.Load(
            null,
            [
                $"data-directory={_directory}", "environment.listen=127.0.0.1:0", "instance.listen=127.0.0.1:0",
                "health.listen=127.0.0.1:0", "runner.network-mode=none",
            ],
            new Hashtable());
        await using var store = await Store.OpenAsync(configuration.Options.Store, default);
        using var health = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        health.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using var stop = new CancellationTokenSource();
        await using var app = DaemonHost.Build(configuration, store, health);
        app.Lifetime.ApplicationStarted.Register(() => end(app.Services.GetRequiredService<ActorSystem>(), stop));
        return await DaemonHost.RunAsync(app, store, stop.Token).WaitAsync(RealDaemon.Within);
    }
}
