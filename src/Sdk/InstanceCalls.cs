using Google.Protobuf;
using Runtara.Protocol.Instances;
using Response = Runtara.Protocol.Instances.RpcResponse.ResponseOneofCase;

namespace Runtara.Sdk;

/// <summary>The requests of the instance protocol, filled in for one instance.</summary>
internal sealed class InstanceCalls(DaemonClient client, WorkflowOptions options)
{
    private readonly string _id = options.InstanceId;
    private long _lastEventMs;

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

    internal async Task<CheckpointResponse> CheckpointAsync(string key, ByteString state, CancellationToken ct)
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
            TimestampMs = Now,
            ErrorMessage = error,
        };
        return client.RequestAsync(new RpcRequest { RetryAttempt = retry }, Response.None, ct);
    }

    /// <exception cref="WorkflowException">The daemon did not accept the event.</exception>
    internal async Task EventAsync(InstanceEventType type, string? subtype, ByteString payload, CancellationToken ct)
    {
        var happened = new InstanceEvent
        {
            InstanceId = _id, EventType = type, Payload = payload, TimestampMs = TimeOfNextEvent(),
        };
        if (subtype is not null)
            happened.Subtype = subtype;
        var reply = await client.RequestAsync(
            new RpcRequest { InstanceEvent = happened }, Response.InstanceEvent, ct);
        if (!reply.InstanceEvent.Success)
            throw new WorkflowException(WorkflowException.EventRefused, reply.InstanceEvent.Error);
    }

    // The daemon takes the same event of the same millisecond for one that was sent again.
    private long TimeOfNextEvent()
    {
        while (true)
        {
            var last = Volatile.Read(ref _lastEventMs);
            var next = Math.Max(Now, last + 1);
            if (Interlocked.CompareExchange(ref _lastEventMs, next, last) == last)
                return next;
        }
    }

    private long Now => options.Time.GetUtcNow().ToUnixTimeMilliseconds();
}
