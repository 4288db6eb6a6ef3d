using System.Text;
using Google.Protobuf;
using Runtara.Actors.Instances;
using Runtara.Protocol;
using Wire = Runtara.Protocol.Instances;

namespace Runtara.Edge.Instances;

// What a workflow tells: events one by one and in batches, acknowledgements, retries. Most of it has no reply on QUIC.
public sealed partial class InstanceRequests
{
    // Each event may wait as long as an outage that writes outlast; whoever answers two of them in a row with silence
    // would do so to all that follow.
    private const int UnansweredInARowMax = 2;

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    // Nobody sends again what has no reply, so it waits for as long as a write does.
    private TimeSpan SilentPatience =>
        catalog.ReconnectTimeout > options.RequestTimeout ? catalog.ReconnectTimeout : options.RequestTimeout;

    private async ValueTask<Wire.RpcResponse?> BatchAsync(
        Wire.InstanceEventBatch batch, WorkflowOrigin origin, CancellationToken cancellation)
    {
        var (lost, unanswered) = (0, 0);
        string? cause = null;
        for (var place = 0; place < batch.Events.Count && unanswered < UnansweredInARowMax; place++)
        {
            try
            {
                await EventAsync(batch.Events[place], place, origin, cancellation);
                unanswered = 0;
            }
            catch (InstanceUnavailableException e)
            {
                unanswered++;
                lost += unanswered < UnansweredInARowMax ? 1 : batch.Events.Count - place;
                cause ??= e.Message;
            }
            catch (Exception e)
            {
                log.RequestFailed(e, "instance");
                lost++;
                cause ??= Deadline.Unexpected;
            }
        }
        return lost == 0
            ? null
            : Error(
                ErrorCodes.InstanceEvent,
                $"{lost} of {batch.Events.Count} events may not have been stored: {cause}");
    }

    /// <param name="place">Where in its batch it stands; null for an event that is a request of its own.</param>
    private async ValueTask<Wire.RpcResponse> EventAsync(
        Wire.InstanceEvent r, int? place, WorkflowOrigin origin, CancellationToken cancellation)
    {
        if (Check(r) is { } wrong)
            return Error(ErrorCodes.InstanceEvent, wrong);
        var instance = new InstanceId(r.InstanceId);
        if (origin.Refuses(instance) is { } refusal)
            return Error(ErrorCodes.InstanceEvent, refusal);
        var command = ToCommand(r, place ?? 0, instance, origin.AttemptOf(instance));
        var isAnother = command is InstanceCommand.ReportCustom && r.TimestampMs == 0;
        var reply = (place, isAnother) switch
        {
            (not null, _) => await gate.AskAsync(command, SilentPatience, cancellation),
            (null, false) => await gate.AskAsync(command, cancellation),
            _ => await gate.AskOnceAsync(
                command, "the event may have been stored: with a timestamp_ms it could be sent again", cancellation),
        };
        return reply switch
        {
            InstanceReply.Refused { Reason: Refusal.NotFound } missing =>
                Error(ErrorCodes.InstanceEvent, missing.Text),
            InstanceReply.Refused refused => new() { InstanceEvent = new() { Error = refused.Text } },
            _ => new() { InstanceEvent = new() { Success = true } },
        };
    }

    private string? Check(Wire.InstanceEvent r)
    {
        if (r.InstanceId.Length == 0)
            return "Validation error for 'instance_id': instance_id is required";
        var isResult = r.EventType == Wire.InstanceEventType.EventCompleted;
        var limit = isResult ? options.OutputBytesMax : options.EventBytesMax;
        if (r.Payload.Length > limit)
            return $"Validation error for 'payload': {r.Payload.Length} bytes are more than the limit of {limit}";
        if (options.CheckName("subtype", r.Subtype) is { } subtype)
            return $"Validation error for 'subtype': {subtype}";
        return options.CheckKey(r.CheckpointId) is { } key ? $"Validation error for 'checkpoint_id': {key}" : null;
    }

    // An unknown number is a heartbeat, as in the reference: a newer client is at least alive.
    private static InstanceCommand ToCommand(
        Wire.InstanceEvent r, int place, InstanceId instance, Attempt? from) => r.EventType switch
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
            Request = RequestId.Of(r, place),
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

    private async ValueTask<Wire.RpcResponse?> AcknowledgeAsync(
        Wire.SignalAck r, WorkflowOrigin origin, CancellationToken cancellation)
    {
        var instance = new InstanceId(r.InstanceId);
        if (r.Acknowledged && Enum.IsDefined((SignalKind)(int)r.SignalType))
        {
            await gate.AskAsync(
                new InstanceCommand.AcknowledgeSignal(
                    instance, (SignalKind)(int)r.SignalType, origin.AttemptOf(instance)),
                SilentPatience, cancellation);
        }
        return null;
    }

    private async ValueTask<Wire.RpcResponse?> RetryAsync(
        Wire.RetryAttemptEvent r, WorkflowOrigin origin, CancellationToken cancellation)
    {
        if (options.CheckKey(r.CheckpointId) is { } wrong)
            return Error(ErrorCodes.InstanceEvent, $"Validation error for 'checkpoint_id': {wrong}");
        var bytes = Encoding.UTF8.GetByteCount(r.ErrorMessage);
        if (bytes > options.EventBytesMax)
        {
            return Error(
                ErrorCodes.InstanceEvent,
                $"Validation error for 'error_message': {bytes} bytes are more than the limit of "
                + $"{options.EventBytesMax} (edge.event-bytes-max)");
        }
        var instance = new InstanceId(r.InstanceId);
        var from = origin.AttemptOf(instance);
        await gate.AskAsync(
            new InstanceCommand.RecordRetry(
                instance, r.CheckpointId, (int)Math.Min(r.AttemptNumber, int.MaxValue),
                r.HasErrorMessage ? r.ErrorMessage : null, from)
            {
                Request = RequestId.Of(r, from),
            },
            SilentPatience, cancellation);
        return null;
    }
}
