using Google.Protobuf;
using Runtara.Protocol.Instances;

namespace Runtara.Sdk;

/// <summary>
/// Signs of life on a connection of their own. Each one also looks for signals, so that a step that computes for an
/// hour hears of a cancel; not while the workflow only sleeps, because a question would keep the daemon from stopping
/// it.
/// </summary>
internal sealed class Heartbeat : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly DaemonClient _client;
    private readonly InstanceCalls _calls;
    private readonly WorkflowContext _context;
    private readonly Signals _signals;
    private readonly WorkflowOptions _options;

    internal Heartbeat(WorkflowOptions options, WorkflowContext context, Signals signals)
    {
        (_options, _context, _signals) = (options, context, signals);
        _client = new DaemonClient(options);
        _calls = new InstanceCalls(_client, options);
        if (options.HeartbeatInterval > TimeSpan.Zero)
            _ = BeatAsync(_stop.Token);
    }

    private async Task BeatAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(_options.HeartbeatInterval, _options.Time);
        try
        {
            while (await timer.WaitForNextTickAsync(ct))
                await BeatOnceAsync(ct);
        }
        catch (OperationCanceledException)
        {
            // The run is over.
        }
    }

    private async Task BeatOnceAsync(CancellationToken ct)
    {
        try
        {
            await _calls.EventAsync(InstanceEventType.EventHeartbeat, null, ByteString.Empty, ct);
            if (!_context.IsAsleep)
                _signals.Note((await _calls.PollSignalsAsync(null, ct)).Signal);
        }
        catch (Exception unheard) when (unheard is IOException or WorkflowException)
        {
            await _options.Log.WriteLineAsync($"Heartbeat not accepted: {unheard.Message}");
        }
    }

    public void Dispose()
    {
        _stop.Cancel();
        _client.Dispose();
        _stop.Dispose();
    }
}
