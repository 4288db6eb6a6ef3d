using System.Collections.Immutable;
using Akka.Actor;
using Akka.Serialization;
using Google.Protobuf;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using static Runtara.Actors.Journal.RowTimes;

namespace Runtara.Actors.Journal;

/// <summary>
/// Instance events ↔ journal rows (<c>journal.proto</c>). Manifests are never renamed and never reused; an unknown one
/// throws, because skipping an event would rebuild a different instance.
/// </summary>
public sealed class InstanceEventSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    /// <summary>The number that journal rows carry; never changed.</summary>
    public const int SerializerId = 7001;

    /// <inheritdoc />
    public override int Identifier => SerializerId;

    /// <inheritdoc />
    public override string Manifest(object o) => o switch
    {
        InstanceEvent.Started => "st1",
        InstanceEvent.SelfRegistered => "sr1",
        InstanceEvent.AttemptLaunched => "al1",
        InstanceEvent.AttemptRegistered => "ar1",
        InstanceEvent.CheckpointSaved => "cs1",
        InstanceEvent.SleepScheduled => "ss1",
        InstanceEvent.Hibernated => "hi1",
        InstanceEvent.Paused => "pa1",
        InstanceEvent.Woken => "wo1",
        InstanceEvent.AttemptExited => "ax1",
        InstanceEvent.AttemptCrashed => "ac1",
        InstanceEvent.AttemptLost => "lo1",
        InstanceEvent.StopRequested => "sp1",
        InstanceEvent.Completed => "co1",
        InstanceEvent.Failed => "fa1",
        InstanceEvent.Cancelled => "ca1",
        InstanceEvent.CustomReported => "cu1",
        InstanceEvent.RetryRecorded => "re1",
        InstanceEvent.SignalSent => "si1",
        InstanceEvent.SignalAcknowledged => "sa1",
        InstanceEvent.CustomSignalSent => "xs1",
        InstanceEvent.CustomSignalDelivered => "xd1",
        InstanceEvent.CustomSignalsConsumed => "xc1",
        _ => throw new ArgumentException($"{o.GetType()} is not an instance event"),
    };

    /// <inheritdoc />
    public override byte[] ToBinary(object obj) => ToRow((InstanceEvent)obj).ToByteArray();

    private static IMessage ToRow(InstanceEvent happened) => happened switch
    {
        InstanceEvent.Started e => ToRow(e),
        InstanceEvent.SelfRegistered e =>
            new Rows.SelfRegistered { InstanceId = e.Instance.Value, TenantId = e.Tenant.Value, AtUs = Us(e.At) },
        InstanceEvent.AttemptLaunched e => new Rows.AttemptLaunched { Attempt = e.Attempt.Number, AtUs = Us(e.At) }
            .With(r => r.CheckpointId = e.CheckpointId!, e.CheckpointId),
        InstanceEvent.AttemptRegistered e => new Rows.AttemptRegistered { Attempt = e.Attempt.Number, AtUs = Us(e.At) }
            .With(r => r.CheckpointId = e.CheckpointId!, e.CheckpointId),
        InstanceEvent.CheckpointSaved e =>
            new Rows.CheckpointSaved { CheckpointId = e.CheckpointId, SizeBytes = e.SizeBytes, AtUs = Us(e.At) },
        InstanceEvent.SleepScheduled e =>
            new Rows.SleepScheduled { CheckpointId = e.CheckpointId, WakeAtUs = Us(e.WakeAt), AtUs = Us(e.At) },
        InstanceEvent.Hibernated e => ToRow(e),
        InstanceEvent.Paused e => new Rows.Paused { Attempt = e.Attempt.Number, AtUs = Us(e.At) }
            .With(r => r.CheckpointId = e.CheckpointId!, e.CheckpointId),
        InstanceEvent.Woken e => new Rows.Woken { Early = e.Early, AtUs = Us(e.At) }
            .With(r => r.ElapsedUntilUs = Us(e.ElapsedUntil!.Value), e.ElapsedUntil)
            .With(r => r.RetryCount = e.RetryCount!.Value, e.RetryCount),
        InstanceEvent.AttemptExited e => ToRow(e),
        InstanceEvent.AttemptCrashed e => ToRow(e),
        InstanceEvent.AttemptLost e =>
            new Rows.AttemptLost { Attempt = e.Attempt.Number, Reason = e.Reason, AtUs = Us(e.At) }
                .With(r => r.RetryCount = e.RetryCount!.Value, e.RetryCount),
        InstanceEvent.StopRequested e => new Rows.StopRequested
        {
            Attempt = e.Attempt.Number,
            Reason = (int)e.Reason,
            GraceMs = (long)e.Grace.TotalMilliseconds,
            AtUs = Us(e.At),
        }.With(r => r.Detail = e.Detail!, e.Detail),
        InstanceEvent.Completed e => new Rows.Completed { OutputSha256 = e.OutputSha256, AtUs = Us(e.At) },
        InstanceEvent.Failed e => new Rows.Failed { Error = e.Error, AtUs = Us(e.At) },
        InstanceEvent.Cancelled e =>
            new Rows.Cancelled { AtUs = Us(e.At) }.With(r => r.Reason = e.Reason!, e.Reason),
        _ => ToRowOfSignal(happened),
    };

    private static IMessage ToRowOfSignal(InstanceEvent happened) => happened switch
    {
        InstanceEvent.CustomReported e =>
            new Rows.CustomReported { ReportedAtUs = Us(e.ReportedAt), Request = Bytes(e.Request), AtUs = Us(e.At) }
                .With(r => r.Subtype = e.Subtype!, e.Subtype)
                .With(r => r.CheckpointId = e.CheckpointId!, e.CheckpointId),
        InstanceEvent.RetryRecorded e => new Rows.RetryRecorded
        {
            CheckpointId = e.CheckpointId,
            AttemptNumber = e.AttemptNumber,
            Request = Bytes(e.Request),
            AtUs = Us(e.At),
        }.With(r => r.ErrorMessage = e.ErrorMessage!, e.ErrorMessage),
        InstanceEvent.SignalSent e => new Rows.SignalSent
        {
            Kind = (int)e.Kind,
            Payload = ByteString.CopyFrom(e.Payload.Span),
            AtUs = Us(e.At),
        },
        InstanceEvent.SignalAcknowledged e => new Rows.SignalAcknowledged { Kind = (int)e.Kind, AtUs = Us(e.At) },
        InstanceEvent.CustomSignalSent e => new Rows.CustomSignalSent
        {
            Number = e.Number,
            Key = e.Key,
            Request = Bytes(e.Request),
            AtUs = Us(e.At),
        },
        InstanceEvent.CustomSignalDelivered e =>
            new Rows.CustomSignalDelivered { Key = e.Key, Number = e.Number, AtUs = Us(e.At) },
        InstanceEvent.CustomSignalsConsumed e =>
            new Rows.CustomSignalsConsumed { Numbers = { e.Numbers }, AtUs = Us(e.At) },
        _ => throw new ArgumentException($"{happened.GetType()} is not an instance event"),
    };

    private static Rows.Started ToRow(InstanceEvent.Started e)
    {
        var row = new Rows.Started
        {
            InstanceId = e.Instance.Value,
            TenantId = e.Tenant.Value,
            ImageId = e.Image.Value,
            ImageName = e.ImageName,
            ImageSha256 = e.ImageSha256,
            InputSha256 = e.InputSha256,
            TimeoutMs = (long)e.Timeout.TotalMilliseconds,
            MaxAttempts = e.MaxAttempts,
            AtUs = Us(e.At),
        };
        row.Environment.Add(e.Environment);
        return row;
    }

    private static Rows.Hibernated ToRow(InstanceEvent.Hibernated e) => new()
    {
        Attempt = e.Attempt.Number,
        CheckpointId = e.CheckpointId,
        WakeAtUs = Us(e.WakeAt),
        AtUs = Us(e.At),
    };

    private static Rows.AttemptCrashed ToRow(InstanceEvent.AttemptCrashed e) => new()
    {
        Attempt = e.Attempt.Number,
        Error = e.Error,
        RetryCount = e.RetryCount,
        CrashesInARow = e.CrashesInARow,
        RetryAtUs = Us(e.RetryAt),
        AtUs = Us(e.At),
    };

    private static Rows.AttemptExited ToRow(InstanceEvent.AttemptExited e)
    {
        var row = new Rows.AttemptExited
        {
            Attempt = e.Attempt.Number,
            OutOfMemory = e.OutOfMemory,
            StderrTail = e.StderrTail,
            AtUs = Us(e.At),
        };
        return row.With(r => r.ExitCode = e.ExitCode!.Value, e.ExitCode)
            .With(r => r.Signal = e.Signal!.Value, e.Signal)
            .With(r => r.MemoryPeakBytes = e.MemoryPeakBytes!.Value, e.MemoryPeakBytes)
            .With(r => r.CpuUs = e.CpuMicroseconds!.Value, e.CpuMicroseconds);
    }

    /// <inheritdoc />
    public override object FromBinary(byte[] bytes, string manifest) => manifest switch
    {
        "st1" => FromRow(Rows.Started.Parser.ParseFrom(bytes)),
        "sr1" => FromRow(Rows.SelfRegistered.Parser.ParseFrom(bytes)),
        "al1" => FromRow(Rows.AttemptLaunched.Parser.ParseFrom(bytes)),
        "ar1" => FromRow(Rows.AttemptRegistered.Parser.ParseFrom(bytes)),
        "cs1" => FromRow(Rows.CheckpointSaved.Parser.ParseFrom(bytes)),
        "ss1" => FromRow(Rows.SleepScheduled.Parser.ParseFrom(bytes)),
        "hi1" => FromRow(Rows.Hibernated.Parser.ParseFrom(bytes)),
        "pa1" => FromRow(Rows.Paused.Parser.ParseFrom(bytes)),
        "wo1" => FromRow(Rows.Woken.Parser.ParseFrom(bytes)),
        "ax1" => FromRow(Rows.AttemptExited.Parser.ParseFrom(bytes)),
        "ac1" => FromRow(Rows.AttemptCrashed.Parser.ParseFrom(bytes)),
        "lo1" => FromRow(Rows.AttemptLost.Parser.ParseFrom(bytes)),
        "sp1" => FromRow(Rows.StopRequested.Parser.ParseFrom(bytes)),
        "co1" => FromRow(Rows.Completed.Parser.ParseFrom(bytes)),
        "fa1" => FromRow(Rows.Failed.Parser.ParseFrom(bytes)),
        "ca1" => FromRow(Rows.Cancelled.Parser.ParseFrom(bytes)),
        "cu1" => FromRow(Rows.CustomReported.Parser.ParseFrom(bytes)),
        "re1" => FromRow(Rows.RetryRecorded.Parser.ParseFrom(bytes)),
        "si1" => FromRow(Rows.SignalSent.Parser.ParseFrom(bytes)),
        "sa1" => FromRow(Rows.SignalAcknowledged.Parser.ParseFrom(bytes)),
        "xs1" => FromRow(Rows.CustomSignalSent.Parser.ParseFrom(bytes)),
        "xd1" => FromRow(Rows.CustomSignalDelivered.Parser.ParseFrom(bytes)),
        "xc1" => FromRow(Rows.CustomSignalsConsumed.Parser.ParseFrom(bytes)),
        _ => throw new ArgumentException($"unknown manifest '{manifest}': the journal is of a newer version"),
    };

    private static InstanceEvent.Started FromRow(Rows.Started r) => new(
        new(r.InstanceId), new(r.TenantId), new ImageId(r.ImageId), r.ImageName, r.ImageSha256, r.InputSha256,
        TimeSpan.FromMilliseconds(r.TimeoutMs), r.Environment.ToImmutableSortedDictionary(StringComparer.Ordinal),
        r.MaxAttempts, At(r.AtUs));

    private static InstanceEvent.SelfRegistered FromRow(Rows.SelfRegistered r) =>
        new(new(r.InstanceId), new(r.TenantId), At(r.AtUs));

    private static InstanceEvent.AttemptLaunched FromRow(Rows.AttemptLaunched r) =>
        new(new(r.Attempt), r.HasCheckpointId ? r.CheckpointId : null, At(r.AtUs));

    private static InstanceEvent.AttemptRegistered FromRow(Rows.AttemptRegistered r) =>
        new(new(r.Attempt), r.HasCheckpointId ? r.CheckpointId : null, At(r.AtUs));

    private static InstanceEvent.CheckpointSaved FromRow(Rows.CheckpointSaved r) =>
        new(r.CheckpointId, r.SizeBytes, At(r.AtUs));

    private static InstanceEvent.SleepScheduled FromRow(Rows.SleepScheduled r) =>
        new(r.CheckpointId, At(r.WakeAtUs), At(r.AtUs));

    private static InstanceEvent.Hibernated FromRow(Rows.Hibernated r) =>
        new(new(r.Attempt), r.CheckpointId, At(r.WakeAtUs), At(r.AtUs));

    private static InstanceEvent.Paused FromRow(Rows.Paused r) => new(new(r.Attempt), At(r.AtUs))
    {
        CheckpointId = r.HasCheckpointId ? r.CheckpointId : null,
    };

    private static InstanceEvent.Woken FromRow(Rows.Woken r) => new(r.Early, At(r.AtUs))
    {
        ElapsedUntil = r.HasElapsedUntilUs ? At(r.ElapsedUntilUs) : null,
        RetryCount = r.HasRetryCount ? r.RetryCount : null,
    };

    private static InstanceEvent.AttemptExited FromRow(Rows.AttemptExited r) => new(
        new(r.Attempt), r.HasExitCode ? r.ExitCode : null, r.HasSignal ? r.Signal : null, r.OutOfMemory, r.StderrTail,
        r.HasMemoryPeakBytes ? r.MemoryPeakBytes : null, r.HasCpuUs ? r.CpuUs : null, At(r.AtUs));

    private static InstanceEvent.AttemptCrashed FromRow(Rows.AttemptCrashed r) =>
        new(new(r.Attempt), r.Error, r.RetryCount, r.CrashesInARow, At(r.RetryAtUs), At(r.AtUs));

    private static InstanceEvent.AttemptLost FromRow(Rows.AttemptLost r) => new(new(r.Attempt), r.Reason, At(r.AtUs))
    {
        RetryCount = r.HasRetryCount ? r.RetryCount : null,
    };

    private static InstanceEvent.StopRequested FromRow(Rows.StopRequested r) => new(
        new(r.Attempt), (StopReason)r.Reason, r.HasDetail ? r.Detail : null, TimeSpan.FromMilliseconds(r.GraceMs),
        At(r.AtUs));

    private static InstanceEvent.Completed FromRow(Rows.Completed r) => new(r.OutputSha256, At(r.AtUs));

    private static InstanceEvent.Failed FromRow(Rows.Failed r) => new(r.Error, At(r.AtUs));

    private static InstanceEvent.Cancelled FromRow(Rows.Cancelled r) => new(r.HasReason ? r.Reason : null, At(r.AtUs));

    private static InstanceEvent.CustomReported FromRow(Rows.CustomReported r) => new(
        r.HasSubtype ? r.Subtype : null, r.HasCheckpointId ? r.CheckpointId : null, At(r.ReportedAtUs), At(r.AtUs))
    {
        Request = Id(r.Request),
    };

    private static InstanceEvent.RetryRecorded FromRow(Rows.RetryRecorded r) =>
        new(r.CheckpointId, r.AttemptNumber, r.HasErrorMessage ? r.ErrorMessage : null, At(r.AtUs))
        {
            Request = Id(r.Request),
        };

    private static InstanceEvent.SignalSent FromRow(Rows.SignalSent r) =>
        new((SignalKind)r.Kind, At(r.AtUs)) { Payload = r.Payload.Memory };

    private static InstanceEvent.SignalAcknowledged FromRow(Rows.SignalAcknowledged r) =>
        new((SignalKind)r.Kind, At(r.AtUs));

    private static InstanceEvent.CustomSignalSent FromRow(Rows.CustomSignalSent r) =>
        new(r.Number, r.Key, Id(r.Request), At(r.AtUs));

    private static InstanceEvent.CustomSignalDelivered FromRow(Rows.CustomSignalDelivered r) =>
        new(r.Key, r.Number, At(r.AtUs));

    private static InstanceEvent.CustomSignalsConsumed FromRow(Rows.CustomSignalsConsumed r) =>
        new([.. r.Numbers], At(r.AtUs));

    private static ByteString Bytes(Guid id) =>
        id == Guid.Empty ? ByteString.Empty : ByteString.CopyFrom(id.ToByteArray(bigEndian: true));

    private static Guid Id(ByteString bytes) => bytes.IsEmpty ? Guid.Empty : new Guid(bytes.Span, bigEndian: true);
}

internal static class RowSetting
{
    /// <summary>Sets an optional field only when there is a value: presence is part of what is stored.</summary>
    public static TRow With<TRow, TValue>(this TRow row, Action<TRow> set, TValue? value)
    {
        if (value is not null)
            set(row);
        return row;
    }
}
