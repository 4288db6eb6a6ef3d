using System.Buffers;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Runtara.Actors.Instances;
using Runtara.Actors.Journal;
using Runtara.Persistence.Journal;

namespace Runtara.Persistence.Projection;

/// <summary>
/// What each event means for the catalog. Written by the transaction that stores the event, so lists are exact and a
/// client reads its own writes. The persistence id of an instance is its id.
/// </summary>
internal static class Projection
{
    public static void Apply(RowChanges rows, JournalRow row, InstanceEvent @event)
    {
        var at = Micros.Of(@event.At);
        var patch = rows.Patch(row.PersistenceId);
        switch (@event)
        {
            case InstanceEvent.Started e: rows.Instances.Add(NewRow(e)); break;
            case InstanceEvent.SelfRegistered e: rows.Instances.Add(NewRow(e)); break;
            case InstanceEvent.AttemptLaunched e:
                patch.SetStatus(InstanceStatus.Running).SetAttempt(e.Attempt.Number);
                break;
            case InstanceEvent.AttemptRegistered e:
                patch.SetStatus(InstanceStatus.Running).SetAttempt(e.Attempt.Number).SetStartedIfNull(at);
                Add(rows, row, "started", null, e.CheckpointId, null, at);
                break;
            case InstanceEvent.CheckpointSaved e:
                patch.SetCheckpoint(Text.Clean(e.CheckpointId));
                rows.Checkpoints.Add(new NewCheckpoint(
                    row.PersistenceId, Text.Clean(e.CheckpointId), row.SequenceNr, at, Bytes(e.State)));
                break;
            case InstanceEvent.SleepScheduled: break;
            case InstanceEvent.Hibernated e:
                patch.SetStatus(InstanceStatus.Suspended).SetWake(Micros.Of(e.WakeAt))
                    .SetCheckpoint(Text.Clean(e.CheckpointId));
                Add(rows, row, "suspended", null, e.CheckpointId, null, at);
                break;
            case InstanceEvent.Paused e:
                patch.SetStatus(InstanceStatus.Suspended).SetWake(null);
                if (e.CheckpointId is { } key)
                    patch.SetCheckpoint(Text.Clean(key));
                Add(rows, row, "suspended", null, e.CheckpointId, null, at);
                break;
            case InstanceEvent.Woken e:
                Await(patch, e.RetryCount).SetWake(null);
                break;
            case InstanceEvent.AttemptExited e:
                patch.SetStderr(e.StderrTail.Length == 0 ? null : Text.Clean(e.StderrTail))
                    .SetMetrics(e.MemoryPeakBytes, e.CpuMicroseconds);
                break;
            case InstanceEvent.AttemptCrashed e:
                patch.SetStatus(InstanceStatus.Pending).SetRetryCount(e.RetryCount);
                break;
            case InstanceEvent.AttemptLost e: Await(patch, e.RetryCount); break;
            default: ApplyRest(rows, row, @event, patch, at); break;
        }
    }

    private static void ApplyRest(RowChanges rows, JournalRow row, InstanceEvent @event, InstancePatch patch, long at)
    {
        switch (@event)
        {
            case InstanceEvent.StopRequested { Detail: { } detail }:
                Add(rows, row, "custom", "stop_requested", null, Encoding.UTF8.GetBytes(detail), at);
                break;
            case InstanceEvent.StopRequested: break;
            case InstanceEvent.Completed e:
                var output = Bytes(e.Output);
                patch.SetStatus(InstanceStatus.Completed).SetFinished(at).SetWake(null).SetResult(output, null);
                rows.Ended.Add(row.PersistenceId);
                Add(rows, row, "completed", null, null, output, at);
                break;
            case InstanceEvent.Failed e:
                patch.SetStatus(InstanceStatus.Failed).SetFinished(at).SetWake(null)
                    .SetResult(null, Text.Clean(e.Error));
                rows.Ended.Add(row.PersistenceId);
                Add(rows, row, "failed", null, null, Encoding.UTF8.GetBytes(e.Error), at);
                break;
            case InstanceEvent.Cancelled e:
                patch.SetStatus(InstanceStatus.Cancelled).SetFinished(at).SetWake(null);
                rows.Ended.Add(row.PersistenceId);
                if (e.Reason is not null)
                    Add(rows, row, "custom", "cancelled", null, Encoding.UTF8.GetBytes(e.Reason), at);
                break;
            case InstanceEvent.CustomReported e:
                Add(rows, row, "custom", e.Subtype, e.CheckpointId, Bytes(e.Payload), Micros.Of(e.ReportedAt));
                break;
            case InstanceEvent.RetryRecorded e:
                Add(rows, row, "custom", "retry_attempt", e.CheckpointId, RetryPayload(e), at);
                break;
            case InstanceEvent.SignalSent or InstanceEvent.SignalAcknowledged: break;
            case InstanceEvent.CustomSignalSent e:
                rows.CustomSignals.Add(new NewCustomSignal(
                    row.PersistenceId, e.Number, Text.Clean(e.Key), at, Bytes(e.Payload)));
                break;
            case InstanceEvent.CustomSignalDelivered: break;
            case InstanceEvent.CustomSignalsConsumed e:
                rows.Consumed.AddRange(e.Numbers.Select(n => new ConsumedSignal(row.PersistenceId, n)));
                break;
            default: throw new UnreachableException($"The catalog does not know {@event.GetType().Name}");
        }
    }

    private static InstancePatch Await(InstancePatch patch, int? retryCount)
    {
        patch.SetStatus(InstanceStatus.Pending);
        return retryCount is { } count ? patch.SetRetryCount(count) : patch;
    }

    private static NewInstance NewRow(InstanceEvent.Started e) => new(
        e.Instance.Value, e.Tenant.Value, (short)InstanceStatus.Pending, InstanceShard.Of(e.Instance), e.Image.Value,
        e.ImageName, (long)e.Timeout.TotalMilliseconds, e.MaxAttempts, Micros.Of(e.At), null, Bytes(e.Input));

    private static NewInstance NewRow(InstanceEvent.SelfRegistered e) => new(
        e.Instance.Value, e.Tenant.Value, (short)InstanceStatus.Running, InstanceShard.Of(e.Instance), null, null, null,
        0, Micros.Of(e.At), Micros.Of(e.At), null);

    private static void Add(
        RowChanges rows, JournalRow row, string type, string? subtype, string? checkpointId, byte[]? payload,
        long at) =>
        rows.Events.Add(new NewEvent(
            row.PersistenceId, row.SequenceNr, type, subtype is null ? null : Text.Clean(subtype),
            checkpointId is null ? null : Text.Clean(checkpointId), payload, at));

    private static byte[] RetryPayload(InstanceEvent.RetryRecorded e)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("checkpoint_id", e.CheckpointId);
            json.WriteNumber("attempt_number", e.AttemptNumber);
            json.WriteString("error_message", e.ErrorMessage);
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }

    private static byte[] Bytes(ReadOnlyMemory<byte> memory) =>
        MemoryMarshal.TryGetArray(memory, out var part) && part.Array is { } array && array.Length == part.Count
            ? array
            : memory.ToArray();
}

/// <summary>Times in the database are unix microseconds.</summary>
internal static class Micros
{
    public static long Of(DateTimeOffset time) => RowTimes.Us(time);

    public static DateTimeOffset ToTime(long micros) => RowTimes.At(micros);

    public static DateTimeOffset? ToTime(long? micros) => micros is { } value ? ToTime(value) : null;
}

/// <summary>Text that a database column can hold.</summary>
internal static class Text
{
    /// <summary>PostgreSQL refuses U+0000 and lone surrogates; programs write both to their standard error.</summary>
    public static string Clean(string text)
    {
        if (!text.Contains('\0') && IsWellFormed(text))
            return text;
        return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)).Replace('\0', '\uFFFD');
    }

    private static bool IsWellFormed(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
                continue;
            if (!char.IsHighSurrogate(text[i]) || i + 1 == text.Length || !char.IsLowSurrogate(text[i + 1]))
                return false;
            i++;
        }
        return true;
    }
}
