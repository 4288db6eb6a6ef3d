using System.Buffers.Binary;
using System.Collections.Immutable;
using System.IO.Hashing;
using Akka.Actor;
using Akka.Serialization;
using Google.Protobuf;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;

namespace Runtara.Actors.Journal;

/// <summary>
/// Snapshots ↔ bytes: eight bytes of XxHash3 over the rest (big-endian), then a message of <c>snapshot.proto</c>.
/// Throws on anything that it does not know or that was damaged; who asked reads the journal instead.
/// </summary>
public sealed class InstanceSnapshotSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    /// <summary>The number that snapshot rows carry; never changed.</summary>
    public const int SerializerId = 7002;

    private const string TheManifest = "is1";
    private const int HashBytes = sizeof(ulong);

    /// <inheritdoc />
    public override int Identifier => SerializerId;

    /// <inheritdoc />
    public override string Manifest(object o) => TheManifest;

    /// <inheritdoc />
    public override byte[] ToBinary(object obj)
    {
        var message = ToMessage((InstanceSnapshot)obj);
        var bytes = new byte[HashBytes + message.CalculateSize()];
        message.WriteTo(bytes.AsSpan(HashBytes));
        BinaryPrimitives.WriteUInt64BigEndian(bytes, XxHash3.HashToUInt64(bytes.AsSpan(HashBytes)));
        return bytes;
    }

    /// <inheritdoc />
    public override object FromBinary(byte[] bytes, string manifest)
    {
        if (manifest != TheManifest)
            throw new InvalidDataException($"unknown manifest '{manifest}': it is of another version");
        if (bytes.Length < HashBytes
            || XxHash3.HashToUInt64(bytes.AsSpan(HashBytes)) != BinaryPrimitives.ReadUInt64BigEndian(bytes))
            throw new InvalidDataException("its bytes are damaged");
        var message = Snapshots.Snapshot.Parser.ParseFrom(bytes.AsSpan(HashBytes));
        if (message.Version != InstanceSnapshot.Version)
            throw new InvalidDataException($"it has version {message.Version}, not {InstanceSnapshot.Version}");
        return new InstanceSnapshot(ToState(message), RowTimes.At(message.AtUs));
    }

    private static Snapshots.Snapshot ToMessage(InstanceSnapshot snapshot)
    {
        var message = new Snapshots.Snapshot { Version = InstanceSnapshot.Version, AtUs = RowTimes.Us(snapshot.At) };
        switch (snapshot.State)
        {
            case InstanceState.Pending s:
                message.Pending = new() { NotBeforeUs = RowTimes.Us(s.NotBefore), Resumed = s.Resumed };
                break;
            case InstanceState.Launching s: message.Launching = ToLive(s); break;
            case InstanceState.Running s: message.Running = ToLive(s); break;
            case InstanceState.Suspended s:
                message.Suspended = new Snapshots.Suspended { SinceUs = RowTimes.Us(s.Since) }
                    .With(m => m.WakeAtUs = RowTimes.Us(s.WakeAt!.Value), s.WakeAt)
                    .With(m => m.Leaving = s.Leaving!.Value.Number, s.Leaving);
                break;
            case InstanceState.Ended s:
                message.Ended = new Snapshots.Ended
                {
                    Outcome = (int)s.Outcome, Result = s.Result, SinceUs = RowTimes.Us(s.Since),
                }.With(m => m.Leaving = s.Leaving!.Value.Number, s.Leaving);
                break;
            default: throw new ArgumentException($"there is no snapshot of {snapshot.State.GetType().Name}");
        }
        message.Facts = ToFacts(((InstanceState.Existing)snapshot.State).Facts);
        return message;
    }

    private static Snapshots.Live ToLive(InstanceState.Live s)
    {
        var live = new Snapshots.Live { SinceUs = RowTimes.Us(s.Since), HasExited = s.HasExited };
        if (s.Stop is { } stop)
        {
            live.Stop = new()
            {
                Reason = (int)stop.Reason, AtUs = RowTimes.Us(stop.At), GraceMs = (long)stop.Grace.TotalMilliseconds,
            };
        }
        return live;
    }

    private static Snapshots.Facts ToFacts(InstanceFacts f)
    {
        var facts = new Snapshots.Facts
        {
            InstanceId = f.Id.Value,
            TenantId = f.Tenant.Value,
            ImageSha256 = f.ImageSha256,
            InputSha256 = f.InputSha256,
            TimeoutMs = (long)f.Timeout.TotalMilliseconds,
            MaxAttempts = f.MaxAttempts,
            Attempt = f.Attempt.Number,
            RetryCount = f.RetryCount,
            CrashesInARow = f.CrashesInARow,
            Progressed = f.Progressed,
            CustomSignals = ToSignals(f.CustomSignals),
        }.With(m => m.ImageId = f.Image!.Value.Value, f.Image).With(m => m.ResumeFrom = f.ResumeFrom!, f.ResumeFrom);
        facts.Environment.Add(f.Environment);
        facts.Checkpoints.AddRange(f.Checkpoints);
        foreach (var (key, wakeAt) in f.Sleeps)
            facts.Sleeps.Add(key, RowTimes.Us(wakeAt));
        if (f.Signal is { } signal)
            facts.Signal = new() { Kind = (int)signal.Kind, Payload = ByteString.CopyFrom(signal.Payload.Span) };
        facts.RecentRequests.AddRange(
            f.RecentRequests.All.Select(r => ByteString.CopyFrom(r.ToByteArray(bigEndian: true))));
        return facts;
    }

    private static Snapshots.CustomSignals ToSignals(CustomSignals s)
    {
        var signals = new Snapshots.CustomSignals { Newest = s.Newest, Given = { s.Given } };
        signals.Queues.AddRange(s.Queues.Select(q => new Snapshots.Queue { Key = q.Key, Numbers = { q.Value } }));
        return signals;
    }

    private static InstanceState ToState(Snapshots.Snapshot message)
    {
        var facts = ToFacts(message.Facts);
        return message switch
        {
            { Pending: { } m } =>
                new InstanceState.Pending(facts, RowTimes.At(m.NotBeforeUs)) { Resumed = m.Resumed },
            { Launching: { } m } => new InstanceState.Launching(facts, RowTimes.At(m.SinceUs), Unheard(m))
            {
                Stop = ToStop(m.Stop), HasExited = m.HasExited,
            },
            { Running: { } m } => new InstanceState.Running(facts, RowTimes.At(m.SinceUs), Unheard(m))
            {
                Stop = ToStop(m.Stop), HasExited = m.HasExited,
            },
            { Suspended: { } m } => new InstanceState.Suspended(
                facts, m.HasWakeAtUs ? RowTimes.At(m.WakeAtUs) : null, RowTimes.At(m.SinceUs),
                m.HasLeaving ? new Attempt(m.Leaving) : null),
            { Ended: { } m } => new InstanceState.Ended(
                facts, (InstanceStatus)m.Outcome, m.Result, RowTimes.At(m.SinceUs),
                m.HasLeaving ? new Attempt(m.Leaving) : null),
            _ => throw new InvalidDataException("it has no phase that is known"),
        };
    }

    // As after the launch: nobody has listened since.
    private static Presence Unheard(Snapshots.Live m) => new(RowTimes.At(m.SinceUs), RowTimes.At(m.SinceUs));

    private static StopOrder? ToStop(Snapshots.Stop? m) => m is null
        ? null
        : new StopOrder((StopReason)m.Reason, RowTimes.At(m.AtUs), TimeSpan.FromMilliseconds(m.GraceMs));

    private static InstanceFacts ToFacts(Snapshots.Facts m) => new()
    {
        Id = new InstanceId(m.InstanceId),
        Tenant = new TenantId(m.TenantId),
        Image = m.HasImageId ? new ImageId(m.ImageId) : null,
        ImageSha256 = m.ImageSha256,
        InputSha256 = m.InputSha256,
        Timeout = TimeSpan.FromMilliseconds(m.TimeoutMs),
        Environment = m.Environment.ToImmutableSortedDictionary(StringComparer.Ordinal),
        MaxAttempts = m.MaxAttempts,
        Attempt = new Attempt(m.Attempt),
        RetryCount = m.RetryCount,
        CrashesInARow = m.CrashesInARow,
        Progressed = m.Progressed,
        Checkpoints = [.. m.Checkpoints],
        Sleeps = m.Sleeps.ToImmutableDictionary(s => s.Key, s => RowTimes.At(s.Value)),
        ResumeFrom = m.HasResumeFrom ? m.ResumeFrom : null,
        Signal = m.Signal is { } signal ? new PendingSignal((SignalKind)signal.Kind, signal.Payload.Memory) : null,
        CustomSignals = CustomSignals.Of(
            m.CustomSignals.Newest, m.CustomSignals.Queues.Select(q => KeyValuePair.Create(q.Key, q.Numbers)),
            m.CustomSignals.Given),
        RecentRequests = RecentRequests.Of(m.RecentRequests.Select(r => new Guid(r.Span, bigEndian: true))),
    };
}
