using Google.Protobuf;
using Microsoft.Extensions.Logging;
using Runtara.Actors.Instances;
using Runtara.Persistence;
using Runtara.Protocol;
using Wire = Runtara.Protocol.Instances;

namespace Runtara.Edge.Instances;

/// <summary>
/// Every request of the instance protocol: wire message in, wire message out. Sources: instance-protocol §2 for texts
/// and order of checks, semantics for everything that differs.
/// </summary>
public sealed partial class InstanceRequests(
    InstanceGate gate, Catalog catalog, EdgeOptions options, TimeProvider time, ILogger log)
{
    /// <summary>
    /// Carries a request out. Null for the requests that have no reply on QUIC, done, durably, by then; when such a one
    /// fails there is an error, for those to whom null means that it is done.
    /// </summary>
    public async ValueTask<Wire.RpcResponse?> HandleAsync(
        Wire.RpcRequest request, WorkflowOrigin origin, CancellationToken cancellation)
    {
        // Nobody asks again for what has no reply: once read it is carried out, though its sender may have gone.
        var isSilent = IsSilent(request);
        // A reply may be held for as long as the sleep.
        var isLong = isSilent || request.RequestCase == Wire.RpcRequest.RequestOneofCase.Sleep;
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
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            log.RequestFailed(e, "instance");
            return Error(CodeOf(request.RequestCase), Deadline.Unexpected);
        }
    }

    /// <summary>Whether a request has no reply on QUIC.</summary>
    internal static bool IsSilent(Wire.RpcRequest request) => request.RequestCase
        is Wire.RpcRequest.RequestOneofCase.SignalAck or Wire.RpcRequest.RequestOneofCase.RetryAttempt
        or Wire.RpcRequest.RequestOneofCase.InstanceEventBatch;

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
                return await EventAsync(request.InstanceEvent, null, origin, cancellation);
            case Wire.RpcRequest.RequestOneofCase.GetInstanceStatus:
                return await StatusAsync(request.GetInstanceStatus, origin, cancellation);
            case Wire.RpcRequest.RequestOneofCase.PollSignals:
                return await PollAsync(request.PollSignals, origin, cancellation);
            case Wire.RpcRequest.RequestOneofCase.InstanceEventBatch:
                return await BatchAsync(request.InstanceEventBatch, origin, cancellation);
            case Wire.RpcRequest.RequestOneofCase.SignalAck:
                return await AcknowledgeAsync(request.SignalAck, origin, cancellation);
            case Wire.RpcRequest.RequestOneofCase.RetryAttempt:
                return await RetryAsync(request.RetryAttempt, origin, cancellation);
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
                if (await catalog.ReadCheckpointAsync(instance, r.CheckpointId, cancellation) is not { } state)
                    return Removed(ErrorCodes.Checkpoint, instance, r.CheckpointId);
                return new()
                {
                    Checkpoint = new()
                    {
                        Found = true,
                        State = UnsafeByteOperations.UnsafeWrap(state),
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
                return await catalog.ReadCheckpointAsync(instance, r.CheckpointId, cancellation) is { } state
                    ? new() { GetCheckpoint = new() { Found = true, State = UnsafeByteOperations.UnsafeWrap(state) } }
                    : Removed(ErrorCodes.GetCheckpoint, instance, r.CheckpointId);
            default:
                return Error(ErrorCodes.GetCheckpoint, TextOf(reply));
        }
    }

    // The instance has ended and been removed since it was asked.
    private static Wire.RpcResponse Removed(string code, InstanceId instance, string key) =>
        Error(code, $"Checkpoint '{key}' of instance '{instance}' is there no more: it has been removed");

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
        if (status.HasOutput && status.CalculateSize() > options.Frames.PayloadBytesMax - Replies.Reserve)
        {
            status.Error = Replies.OutputLeftOut(status.Output.Length);
            status.ClearOutput();
        }
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

    private static Wire.Signal? ToWire(InstanceId instance, PendingSignal? signal) => signal is null
        ? null
        : new Wire.Signal
        {
            InstanceId = instance.Value,
            SignalType = (Wire.SignalType)(int)signal.Kind,
            Payload = UnsafeByteOperations.UnsafeWrap(signal.Payload),
        };

    private static string TextOf(InstanceReply reply) => reply is InstanceReply.Refused refused
        ? refused.Text
        : throw new InvalidOperationException($"unexpected reply {reply.GetType().Name}");

    internal static Wire.RpcResponse Error(string code, string message) =>
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

    internal static string CodeOf(Wire.RpcRequest.RequestOneofCase request) => request switch
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
