using System.Diagnostics;
using System.Net;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol.Environments;

namespace Runtara.EndToEnd.Tests.Hostile;

/// <summary>Asks a daemon for its health, on its own connection, until stopped; knows the worst answer.</summary>
internal sealed class HealthWatch : IAsyncDisposable
{
    private readonly EnvironmentClient _client;
    private readonly Task _asking;
    private volatile bool _stopped;

    public HealthWatch(IPEndPoint daemon)
    {
        _client = new EnvironmentClient(daemon);
        _asking = Task.Run(AskAsync);
    }

    public TimeSpan Worst { get; private set; }

    public int Answers { get; private set; }

    /// <summary>Throws what the last question met, when it had no answer.</summary>
    public async Task StopAsync()
    {
        _stopped = true;
        await _asking;
    }

    private async Task AskAsync()
    {
        while (!_stopped)
        {
            var clock = Stopwatch.StartNew();
            var response = await _client.CallAsync(new RpcRequest { HealthCheck = new() });
            if (clock.Elapsed > Worst)
                Worst = clock.Elapsed;
            if (!response.HealthCheck.Healthy)
                throw new InvalidOperationException($"not healthy: {response}");
            Answers++;
            await Eventually.PauseAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _stopped = true;
        await ((Task)_asking).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _client.DisposeAsync();
    }
}
