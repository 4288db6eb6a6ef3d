using Google.Protobuf;
using Runtara.Protocol.Instances;
using Response = Runtara.Protocol.Instances.RpcResponse.ResponseOneofCase;

namespace Runtara.Sdk;

/// <summary>The requests of the instance protocol, filled in for one instance.</summary>
internal sealed class InstanceCalls(DaemonClient client, WorkflowOptions options)
{
    /// <summary>An error is cut at this length: the daemon takes 4 MiB, and nobody reads more.</summary>
    private const int ErrorLengthMax = 256 * 1024;

    private readonly string _id = options.InstanceId;
    private readonly Turns _turns = new();
    private long _lastTime;

    /// <summary>
    /// Registers without a checkpoint id: the replay needs none, and the key after which the daemon launched this
    /// attempt may be that of a sleep, which is not a checkpoint.
    /// </summary>
    internal async Task<RegisterInstanceResponse> RegisterAsync(CancellationToken ct)
    {
        var register = new RegisterInstanceRequest { InstanceId = _id, TenantId = options.TenantId };
        var reply = await client.RequestAsync(
            new RpcRequest { RegisterInstance = register }, Response.RegisterInstance, ct);
        return reply.RegisterInstance;
    }

    internal async Task<GetCheckpointResponse> GetCheckpointAsync(string key, CancellationToken ct)
    {
        var get = new GetCheckpointRequest { InstanceId = _id, CheckpointId = key };
        var reply = await client.RequestAsync(new RpcRequest { GetCheckpoint = get }, Response.GetCheckpoint, ct);
        return reply.GetCheckpoint;
    }

    internal Task<CheckpointResponse> CheckpointAsync(string key, ByteString state, CancellationToken ct) =>
        _turns.TogetherAsync(() => SaveAsync(key, state, ct), ct);

    private async Task<CheckpointResponse> SaveAsync(string key, ByteString state, CancellationToken ct)
    {
        var checkpoint = new CheckpointRequest { InstanceId = _id, CheckpointId = key, State = state };
        var reply = await client.RequestAsync(new RpcRequest { Checkpoint = checkpoint }, Response.Checkpoint, ct);
        return reply.Checkpoint;
    }

    internal Task SleepAsync(string key, TimeSpan duration, CancellationToken ct)
    {
        var milliseconds = (ulong)Math.Ceiling(duration.TotalMilliseconds);
        var sleep = new SleepRequest { InstanceId = _id, CheckpointId = key, DurationMs = milliseconds };
        return client.RequestAsync(new RpcRequest { Sleep = sleep }, Response.Sleep, ct);
    }

    internal async Task<PollSignalsResponse> PollSignalsAsync(string? key, CancellationToken ct)
    {
        var poll = new PollSignalsRequest { InstanceId = _id };
        if (key is not null)
            poll.CheckpointId = key;
        var reply = await client.RequestAsync(new RpcRequest { PollSignals = poll }, Response.PollSignals, ct);
        return reply.PollSignals;
    }

    /// <summary>
    /// Looks for a custom signal and saves it. The daemon takes a signal that it gave for handled at the attempt's next
    /// new checkpoint or event, so none of another branch may come before the signal's own checkpoint.
    /// </summary>
    /// <param name="key">Key of the signal, and of its checkpoint.</param>
    /// <param name="ct">Ends the look; what was found is saved nevertheless.</param>
    /// <returns>What was found, and the answer to the saving of a custom signal.</returns>
    internal Task<(PollSignalsResponse Polled, CheckpointResponse? Saved)> TakeSignalAsync(
        string key, CancellationToken ct) => _turns.AloneAsync<(PollSignalsResponse, CheckpointResponse?)>(
        async () =>
        {
            var polled = await PollSignalsAsync(key, ct);
            var saved = polled.CustomSignal is { } signal
                ? await SaveAsync(key, signal.Payload, CancellationToken.None)
                : null;
            return (polled, saved);
        },
        ct);

    internal Task AcknowledgeAsync(SignalType type, CancellationToken ct)
    {
        var ack = new SignalAck { InstanceId = _id, SignalType = type, Acknowledged = true };
        return client.RequestAsync(new RpcRequest { SignalAck = ack }, Response.None, ct);
    }

    internal Task RetryAsync(string key, int attempt, string error, CancellationToken ct)
    {
        var retry = new RetryAttemptEvent
        {
            InstanceId = _id,
            CheckpointId = key,
            AttemptNumber = (uint)attempt,
            TimestampMs = NextTime(),
            ErrorMessage = Bounded(error),
        };
        return _turns.TogetherAsync(
            () => client.RequestAsync(new RpcRequest { RetryAttempt = retry }, Response.None, ct), ct);
    }

    /// <exception cref="WorkflowException">The daemon did not accept the event.</exception>
    internal async Task EventAsync(InstanceEventType type, string? subtype, ByteString payload, CancellationToken ct)
    {
        var happened = new InstanceEvent { InstanceId = _id, EventType = type, Payload = payload };
        happened.TimestampMs = NextTime();
        if (subtype is not null)
            happened.Subtype = subtype;
        var reply = await _turns.TogetherAsync(
            () => client.RequestAsync(new RpcRequest { InstanceEvent = happened }, Response.InstanceEvent, ct), ct);
        if (!reply.InstanceEvent.Success)
            throw new WorkflowException(WorkflowException.EventRefused, reply.InstanceEvent.Error);
    }

    internal Task FailedAsync(string error, CancellationToken ct) =>
        EventAsync(InstanceEventType.EventFailed, null, ByteString.CopyFromUtf8(Bounded(error)), ct);

    private static string Bounded(string error) =>
        error.Length <= ErrorLengthMax ? error : string.Concat(error.AsSpan(0, ErrorLengthMax), "…");

    /// <summary>Now, or a little later than the last one: the daemon knows an event that is sent again by its time,
    /// and takes two with the same content and time for one.</summary>
    private long NextTime()
    {
        while (true)
        {
            var last = Volatile.Read(ref _lastTime);
            var next = Math.Max(options.Time.GetUtcNow().ToUnixTimeMilliseconds(), last + 1);
            if (Interlocked.CompareExchange(ref _lastTime, next, last) == last)
                return next;
        }
    }
}
