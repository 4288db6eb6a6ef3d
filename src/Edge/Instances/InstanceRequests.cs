using System.Text;
using Google.Protobuf;
using Runtara.Actors.Instances;
using Runtara.Persistence;
using Runtara.Protocol;
using Wire = Runtara.Protocol.Instances;

namespace Runtara.Edge.Instances;

/// <summary>
/// Every request of the instance protocol: wire message in, wire message out. Sources: instance-protocol §2 for texts
/// and order of checks, semantics for everything that differs.
/// </summary>
public sealed class InstanceRequests(InstanceGate gate, Catalog catalog, EdgeOptions options, TimeProvider time)
{
    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    /// <summary>
    /// Carries a request out. Null for the requests that have no reply on QUIC; they are done, durably, by then.
    /// </summary>
    public async ValueTask<Wire.RpcResponse?> HandleAsync(
        Wire.RpcRequest request, WorkflowOrigin origin, CancellationToken cancellation)
    {
        // Nobody asks again for what has no reply: once read it is carried out, though its sender may have gone.
        var isSilent = request.RequestCase is Wire.RpcRequest.RequestOneofCase.SignalAck
            or Wire.RpcRequest.RequestOneofCase.RetryAttempt or Wire.RpcRequest.RequestOneofCase.InstanceEventBatch;
        // A reply may be held for as long as the sleep; a batch is as long as its events.
        var isLong = request.RequestCase is Wire.RpcRequest.RequestOneofCase.Sleep
            or Wire.RpcRequest.RequestOneofCase.InstanceEventBatch;
        using var deadline = new Deadline(
            isLong ? null : options.RequestTimeout, catalog, isSilent ? default : cancellation);
        try
        {
            return await DispatchAsync(request, origin, deadline.Token);
        }
        catch (Exception e) when (deadline.TextOf(e) is { } text)
        {
            return Error(CodeOf(request.RequestCase), text);
        }
    }

    private async ValueTask<Wire.RpcResponse?> DispatchAsync(
        Wire.RpcRequest request, WorkflowOrigin origin, CancellationToken cancellation)
    {
        var code = CodeOf(request.RequestCase);
        if (InstanceOf(request) is { } about && origin.Refuses(about) is { } refusal)
            return Error(code, refusal);
        switch (request.RequestCase)
        {
            case Wire.RpcRequest.RequestOneofCase.RegisterInstance:
                return await RegisterAsync(request.RegisterInstance, origin, cancellation);
            case Wire.RpcRequest.RequestOneofCase.Checkpoint:
                return await CheckpointAsync(request.Checkpoint, origin, cancellation);
            case Wire.RpcRequest.RequestOneofCase.GetCheckpoint:
                return await GetCheckpointAsync(request.GetCheckpoint, origin, cancellation);
            case Wire.RpcRequest.RequestOneofCase.Sleep:
                return await SleepAsync(request.Sleep, origin, cancellation);
            case Wire.RpcRequest.RequestOneofCase.InstanceEvent:
                return await EventAsync(request.InstanceEvent, origin, cancellation);
            case Wire.RpcRequest.RequestOneofCase.GetInstanceStatus:
                return await StatusAsync(request.GetInstanceStatus, origin, cancellation);
            case Wire.RpcRequest.RequestOneofCase.PollSignals:
                return await PollAsync(request.PollSignals, origin, cancellation);
            case Wire.RpcRequest.RequestOneofCase.InstanceEventBatch:
                foreach (var happened in request.InstanceEventBatch.Events)
                    await EventAsync(happened, origin, cancellation);
                return null;
            case Wire.RpcRequest.RequestOneofCase.SignalAck:
                await AcknowledgeAsync(request.SignalAck, origin, cancellation);
                return null;
            case Wire.RpcRequest.RequestOneofCase.RetryAttempt:
                await RetryAsync(request.RetryAttempt, origin, cancellation);
                return null;
            default:
                return Error(ErrorCodes.EmptyRequest, "RpcRequest contained no request");
        }
    }

    private async ValueTask<Wire.RpcResponse> RegisterAsync(
        Wire.RegisterInstanceRequest r, WorkflowOrigin origin, CancellationToken cancellation)
    {
        var wrong = IdentifierRule.Check("instance_id", r.InstanceId) ?? IdentifierRule.Check("tenant_id", r.TenantId);
        if (wrong is not null)
            return Registered(wrong);
        var instance = new InstanceId(r.InstanceId);
        var reply = await gate.AskAsync(
            new InstanceCommand.Register(
                instance, new(r.TenantId), r.HasCheckpointId ? r.CheckpointId : null, origin.AttemptOf(instance)),
            cancellation);
        if (reply is not InstanceReply.Registered registered)
            return Registered(TextOf(reply));
        origin.Registered(instance, registered.Attempt);
        return Registered("");
    }

    private static Wire.RpcResponse Registered(string error) => new()
    {
        RegisterInstance = new Wire.RegisterInstanceResponse { Success = error.Length == 0, Error = error },
    };

    private async ValueTask<Wire.RpcResponse> CheckpointAsync(
        Wire.CheckpointRequest r, WorkflowOrigin origin, CancellationToken cancellation)
    {
        if (r.State.Length > options.CheckpointBytesMax)
        {
            return Error(ErrorCodes.Checkpoint, $"Failed to save checkpoint for instance '{r.InstanceId}': state has "
                + $"{r.State.Length} bytes, the limit is {options.CheckpointBytesMax} (edge.checkpoint-bytes-max)");
        }
        if (options.CheckKey(r.CheckpointId) is { } tooLong)
            return Error(ErrorCodes.Checkpoint, $"Validation error for 'checkpoint_id': {tooLong}");
        var instance = new InstanceId(r.InstanceId);
        var reply = await gate.AskAsync(
            new InstanceCommand.SaveCheckpoint(instance, r.CheckpointId, r.State.Memory, origin.AttemptOf(instance)),
            cancellation);
        switch (reply)
        {
            case InstanceReply.CheckpointStored stored:
                return new()
                {
                    Checkpoint = new()
                    {
                        PendingSignal = ToWire(instance, stored.Signal),
                        CustomSignal = await CustomAsync(instance, r.CheckpointId, stored.CustomSignal, cancellation),
                    },
                };
            case InstanceReply.CheckpointFound found:
                var state = await catalog.ReadCheckpointAsync(instance, r.CheckpointId, cancellation);
                return new()
                {
                    Checkpoint = new()
                    {
                        Found = true,
                        State = ToWire(state),
                        PendingSignal = ToWire(instance, found.Signal),
                        CustomSignal = await CustomAsync(instance, r.CheckpointId, found.CustomSignal, cancellation),
                    },
                };
            default:
                return Error(ErrorCodes.Checkpoint, TextOf(reply));
        }
    }

    private async ValueTask<Wire.RpcResponse> GetCheckpointAsync(
        Wire.GetCheckpointRequest r, WorkflowOrigin origin, CancellationToken cancellation)
    {
        var instance = new InstanceId(r.InstanceId);
        var reply = await gate.AskAsync(
            new InstanceCommand.LookUpCheckpoint(instance, r.CheckpointId, origin.AttemptOf(instance)), cancellation);
        switch (reply)
        {
            case InstanceReply.CheckpointMissing:
                return new() { GetCheckpoint = new() };
            case InstanceReply.CheckpointFound:
                var state = await catalog.ReadCheckpointAsync(instance, r.CheckpointId, cancellation);
                return new() { GetCheckpoint = new() { Found = true, State = ToWire(state) } };
            default:
                return Error(ErrorCodes.GetCheckpoint, TextOf(reply));
        }
    }

    // The reply is held here and not in the actor: a held reply costs a timer, and asking again is harmless.
    private async ValueTask<Wire.RpcResponse> SleepAsync(
        Wire.SleepRequest r, WorkflowOrigin origin, CancellationToken cancellation)
    {
        if (r.DurationMs > options.SleepMax.TotalMilliseconds)
        {
            return Error(ErrorCodes.Sleep, "Validation error for 'duration_ms': "
                + $"{r.DurationMs} is more than {options.SleepMax.TotalMilliseconds:0} (edge.sleep-max)");
        }
        if (options.CheckKey(r.CheckpointId) is { } tooLong)
            return Error(ErrorCodes.Sleep, $"Validation error for 'checkpoint_id': {tooLong}");
        var instance = new InstanceId(r.InstanceId);
        var command = new InstanceCommand.Sleep(
            instance, r.CheckpointId, TimeSpan.FromMilliseconds(r.DurationMs), origin.AttemptOf(instance));
        while (true)
        {
            switch (await gate.AskAsync(command, cancellation))
            {
                case InstanceReply.SleepElapsed:
                    return new() { Sleep = new() };
                case InstanceReply.SleepUntil until:
                    await WaitAsync(until.WakeAt, cancellation);
                    if (r.CheckpointId.Length == 0)
                        return new() { Sleep = new() };
                    break;
                case var refused:
                    return Error(ErrorCodes.Sleep, TextOf(refused));
            }
        }
    }

    private async ValueTask WaitAsync(DateTimeOffset until, CancellationToken cancellation)
    {
        var longest = TimeSpan.FromDays(1);
        for (var left = until - time.GetUtcNow(); left > TimeSpan.Zero; left = until - time.GetUtcNow())
            await Task.Delay(left < longest ? left + TimeSpan.FromMilliseconds(1) : longest, time, cancellation);
    }

    private async ValueTask<Wire.RpcResponse> EventAsync(
        Wire.InstanceEvent r, WorkflowOrigin origin, CancellationToken cancellation)
    {
        if (r.InstanceId.Length == 0)
        {
            return Error(
                ErrorCodes.InstanceEvent, "Validation error for 'instance_id': instance_id is required");
        }
        var isResult = r.EventType == Wire.InstanceEventType.EventCompleted;
        var limit = isResult ? options.OutputBytesMax : options.EventBytesMax;
        if (r.Payload.Length > limit)
        {
            return Error(
                ErrorCodes.InstanceEvent,
                $"Validation error for 'payload': {r.Payload.Length} bytes are more than the limit of {limit}");
        }
        var instance = new InstanceId(r.InstanceId);
        if (origin.Refuses(instance) is { } refusal)
            return Error(ErrorCodes.InstanceEvent, refusal);
        return await gate.AskAsync(ToCommand(r, instance, origin.AttemptOf(instance)), cancellation) switch
        {
            InstanceReply.Refused { Reason: Refusal.NotFound } missing =>
                Error(ErrorCodes.InstanceEvent, missing.Text),
            InstanceReply.Refused refused => new() { InstanceEvent = new() { Error = refused.Text } },
            _ => new() { InstanceEvent = new() { Success = true } },
        };
    }

    // An unknown number is a heartbeat, as in the reference: a newer client is at least alive.
    private static InstanceCommand ToCommand(Wire.InstanceEvent r, InstanceId instance, Attempt? from) =>
        r.EventType switch
        {
            Wire.InstanceEventType.EventCompleted =>
                new InstanceCommand.ReportCompleted(instance, r.Payload.Memory, from),
            Wire.InstanceEventType.EventFailed =>
                new InstanceCommand.ReportFailed(instance, ErrorText(r.Payload), from),
            Wire.InstanceEventType.EventSuspended => new InstanceCommand.ReportSuspended(instance, from),
            Wire.InstanceEventType.EventCustom => new InstanceCommand.ReportCustom(
                instance, r.HasSubtype ? r.Subtype : null, r.HasCheckpointId ? r.CheckpointId : null, r.Payload.Memory,
                Timestamps.FromUnixMs(r.TimestampMs), from)
            {
                Request = Guid.NewGuid(),
            },
            _ => new InstanceCommand.Heartbeat(instance, from),
        };

    private static string ErrorText(ByteString payload)
    {
        if (payload.IsEmpty)
            return "Unknown error";
        try
        {
            return StrictUtf8.GetString(payload.Span);
        }
        catch (DecoderFallbackException)
        {
            return "Unknown error (binary payload)";
        }
    }

    private async ValueTask<Wire.RpcResponse> StatusAsync(
        Wire.GetInstanceStatusRequest r, WorkflowOrigin origin, CancellationToken cancellation)
    {
        var status = new Wire.GetInstanceStatusResponse { InstanceId = r.InstanceId };
        if (await catalog.FindInstanceAsync(new(r.InstanceId), cancellation) is not { } row)
        {
            status.Error = "Instance not found";
            return new() { GetInstanceStatus = status };
        }
        await HearAsync(row, origin, cancellation);
        status.Status = (Wire.InstanceStatus)(int)row.Status;
        status.StartedAtMs = row.StartedAt?.ToUnixTimeMilliseconds() ?? 0;
        if (row.CheckpointId is not null)
            status.CheckpointId = row.CheckpointId;
        if (row.FinishedAt is { } finishedAt)
            status.FinishedAtMs = finishedAt.ToUnixTimeMilliseconds();
        if (row.Output is { } output)
            status.Output = UnsafeByteOperations.UnsafeWrap(output);
        if (row.Error is not null)
            status.Error = row.Error;
        return new() { GetInstanceStatus = status };
    }

    // The rows know the status, and only the actor knows silence: a workflow that asks for its own status lives.
    private async ValueTask HearAsync(InstanceRow row, WorkflowOrigin origin, CancellationToken cancellation)
    {
        if (row.Status == InstanceStatus.Running && origin.AttemptOf(row.Id) is { } attempt)
            await gate.AskAsync(new InstanceCommand.PollSignals(row.Id, null, attempt), cancellation);
    }

    private async ValueTask<Wire.RpcResponse> PollAsync(
        Wire.PollSignalsRequest r, WorkflowOrigin origin, CancellationToken cancellation)
    {
        var instance = new InstanceId(r.InstanceId);
        var reply = await gate.AskAsync(
            new InstanceCommand.PollSignals(
                instance, r.HasCheckpointId ? r.CheckpointId : null, origin.AttemptOf(instance)),
            cancellation);
        // An unknown instance has no signals; asking is no error (instance-protocol §2.8).
        var signals = reply as InstanceReply.Signals;
        return new()
        {
            PollSignals = new()
            {
                Signal = ToWire(instance, signals?.Signal),
                CustomSignal = await CustomAsync(instance, r.CheckpointId, signals?.CustomSignal, cancellation),
            },
        };
    }

    private async ValueTask<Wire.CustomSignal?> CustomAsync(
        InstanceId instance, string key, long? number, CancellationToken cancellation)
    {
        if (number is null)
            return null;
        return await catalog.ReadCustomSignalAsync(instance, number.Value, cancellation) is { } payload
            ? new Wire.CustomSignal { CheckpointId = key, Payload = UnsafeByteOperations.UnsafeWrap(payload) }
            : null;
    }

    private async ValueTask AcknowledgeAsync(Wire.SignalAck r, WorkflowOrigin origin, CancellationToken cancellation)
    {
        var instance = new InstanceId(r.InstanceId);
        if (r.Acknowledged && Enum.IsDefined((SignalKind)(int)r.SignalType))
        {
            await gate.AskAsync(
                new InstanceCommand.AcknowledgeSignal(
                    instance, (SignalKind)(int)r.SignalType, origin.AttemptOf(instance)),
                cancellation);
        }
    }

    private async ValueTask RetryAsync(Wire.RetryAttemptEvent r, WorkflowOrigin origin, CancellationToken cancellation)
    {
        var instance = new InstanceId(r.InstanceId);
        await gate.AskAsync(
            new InstanceCommand.RecordRetry(
                instance, r.CheckpointId, (int)Math.Min(r.AttemptNumber, int.MaxValue),
                r.HasErrorMessage ? r.ErrorMessage : null, origin.AttemptOf(instance))
            {
                Request = Guid.NewGuid(),
            },
            cancellation);
    }

    private static Wire.Signal? ToWire(InstanceId instance, PendingSignal? signal) => signal is null
        ? null
        : new Wire.Signal
        {
            InstanceId = instance.Value,
            SignalType = (Wire.SignalType)(int)signal.Kind,
            Payload = UnsafeByteOperations.UnsafeWrap(signal.Payload),
        };

    private static ByteString ToWire(ReadOnlyMemory<byte>? state) =>
        state is { } bytes ? UnsafeByteOperations.UnsafeWrap(bytes) : ByteString.Empty;

    private static string TextOf(InstanceReply reply) => reply is InstanceReply.Refused refused
        ? refused.Text
        : throw new InvalidOperationException($"unexpected reply {reply.GetType().Name}");

    private static Wire.RpcResponse Error(string code, string message) =>
        new() { Error = new() { Code = code, Message = message } };

    private static InstanceId? InstanceOf(Wire.RpcRequest r) => r.RequestCase switch
    {
        Wire.RpcRequest.RequestOneofCase.RegisterInstance => new(r.RegisterInstance.InstanceId),
        Wire.RpcRequest.RequestOneofCase.Checkpoint => new(r.Checkpoint.InstanceId),
        Wire.RpcRequest.RequestOneofCase.GetCheckpoint => new(r.GetCheckpoint.InstanceId),
        Wire.RpcRequest.RequestOneofCase.Sleep => new(r.Sleep.InstanceId),
        Wire.RpcRequest.RequestOneofCase.InstanceEvent => new(r.InstanceEvent.InstanceId),
        Wire.RpcRequest.RequestOneofCase.GetInstanceStatus => new(r.GetInstanceStatus.InstanceId),
        Wire.RpcRequest.RequestOneofCase.PollSignals => new(r.PollSignals.InstanceId),
        Wire.RpcRequest.RequestOneofCase.SignalAck => new(r.SignalAck.InstanceId),
        Wire.RpcRequest.RequestOneofCase.RetryAttempt => new(r.RetryAttempt.InstanceId),
        _ => null,
    };

    private static string CodeOf(Wire.RpcRequest.RequestOneofCase request) => request switch
    {
        Wire.RpcRequest.RequestOneofCase.RegisterInstance => ErrorCodes.RegisterInstance,
        Wire.RpcRequest.RequestOneofCase.Checkpoint => ErrorCodes.Checkpoint,
        Wire.RpcRequest.RequestOneofCase.GetCheckpoint => ErrorCodes.GetCheckpoint,
        Wire.RpcRequest.RequestOneofCase.Sleep => ErrorCodes.Sleep,
        Wire.RpcRequest.RequestOneofCase.GetInstanceStatus => ErrorCodes.GetInstanceStatus,
        Wire.RpcRequest.RequestOneofCase.PollSignals or Wire.RpcRequest.RequestOneofCase.SignalAck =>
            ErrorCodes.PollSignals,
        _ => ErrorCodes.InstanceEvent,
    };
}
