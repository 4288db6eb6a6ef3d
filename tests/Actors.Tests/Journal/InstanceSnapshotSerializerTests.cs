using System.Buffers.Binary;
using System.Collections.Immutable;
using System.IO.Hashing;
using System.Reflection;
using Akka.Actor;
using Google.Protobuf;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Journal;
using Runtara.Actors.Tests.Proof;

namespace Runtara.Actors.Tests.Journal;

/// <summary>
/// Snapshots of the first release are read, or known to be of another version; anything else is an error, and then the
/// journal is read. <c>Golden/snapshot-v1.txt</c> is never changed to make a test pass: when
/// <see cref="InstanceSnapshot.Version"/> is raised, a file for the new version comes beside it.
/// </summary>
public sealed class InstanceSnapshotSerializerTests : IDisposable
{
    private const string Manifest = "is1";
    private static readonly DateTimeOffset At = new(2026, 2, 3, 4, 5, 6, 789, TimeSpan.Zero);

    private readonly ActorSystem _system = ActorSystem.Create("serializer");
    private readonly InstanceSnapshotSerializer _serializer;
    private readonly InstanceEventSerializer _events;

    public InstanceSnapshotSerializerTests()
    {
        _serializer = new InstanceSnapshotSerializer((ExtendedActorSystem)_system);
        _events = new InstanceEventSerializer((ExtendedActorSystem)_system);
    }

    public void Dispose() => _system.Dispose();

    // Every field of every message is set in one of them.
    private static IEnumerable<InstanceState> Samples =>
    [
        new InstanceState.Pending(Facts, At.AddSeconds(2)) { Resumed = true },
        new InstanceState.Launching(Facts, At, new Presence(At, At)) { HasExited = true },
        new InstanceState.Running(Facts, At, new Presence(At, At))
        {
            Stop = new StopOrder(StopReason.Stale, At.AddSeconds(3), TimeSpan.FromSeconds(5)),
        },
        new InstanceState.Suspended(Facts, At.AddSeconds(4), At, new Attempt(7)),
        new InstanceState.Ended(Facts, InstanceStatus.Failed, "no", At, new Attempt(7)),
    ];

    private static InstanceFacts Facts => new()
    {
        Id = new("i-1"),
        Tenant = new("acme"),
        Image = new ImageId("img"),
        ImageSha256 = "aa",
        InputSha256 = "bb",
        Timeout = TimeSpan.FromSeconds(300),
        Environment = ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal).Add("A", "1"),
        MaxAttempts = 3,
        Attempt = new Attempt(7),
        RetryCount = 4,
        CrashesInARow = 2,
        Progressed = true,
        Checkpoints = ["cp"],
        Sleeps = ImmutableDictionary<string, DateTimeOffset>.Empty.Add("nap", At.AddSeconds(15)),
        ResumeFrom = "cp",
        Signal = new PendingSignal(SignalKind.Pause, new byte[] { 1, 2 }),
        CustomSignals = CustomSignals.Of(
            9, [KeyValuePair.Create("ok", (IEnumerable<long>)[8, 9])], [KeyValuePair.Create("ok", 8L)]),
        RecentRequests = RecentRequests.Of([new("01020304-0506-0708-090a-0b0c0d0e0f10")]),
    };

    private static string Golden(string name) =>
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Golden", name));

    [Fact]
    public void Every_phase_is_written_as_the_first_release_wrote_it()
    {
        var written = Samples.Select(s => $"{s.GetType().Name} {Convert.ToHexStringLower(Write(s))}\n");
        Assert.Equal(Golden("snapshot-v1.txt"), string.Concat(written));
    }

    [Fact]
    public void Every_phase_of_the_first_release_is_read_back_whole()
    {
        var read = Golden("snapshot-v1.txt").Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => Read(Convert.FromHexString(line.Split(' ')[1])));
        Assert.Equal(
            Samples.Select(s => Whole.Of(new InstanceSnapshot(s, At))), read.Select(s => Whole.Of(s)));
    }

    [Fact]
    public void Every_phase_has_a_sample() => Assert.Equal(
        typeof(InstanceState).GetNestedTypes(BindingFlags.Public)
            .Where(t => !t.IsAbstract && t != typeof(InstanceState.Absent)).Select(t => t.Name).Order(),
        Samples.Select(s => s.GetType().Name).Order());

    /// <summary>
    /// When this fails, the same events give another state than they did: raise <see cref="InstanceSnapshot.Version"/>,
    /// or instances go on from snapshots that the journal no longer agrees with.
    /// </summary>
    [Fact]
    public void The_events_of_the_first_release_give_the_state_of_their_snapshot()
    {
        var rows = Golden("journal-v1.txt").Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split(' ')).ToDictionary(
                w => w[0], w => (InstanceEvent)_events.FromBinary(Convert.FromHexString(w[2]), w[1]));
        foreach (var line in Golden("snapshot-of-events-v1.txt").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var words = line.Split(' ');
            var state = words[..^1].Aggregate(
                (InstanceState)new InstanceState.Absent(), (s, name) => s.Apply(rows[name]));
            Assert.Equal(Whole.Of(Read(Convert.FromHexString(words[^1])).State), Whole.Of(state));
        }
    }

    [Fact]
    public void Fields_of_a_newer_program_are_passed_over()
    {
        var bytes = Write(Samples.First());
        var message = new byte[bytes.Length - 8 + 3];
        bytes.AsSpan(8).CopyTo(message);
        // Field 100, a varint.
        new byte[] { 0xa0, 0x06, 0x01 }.CopyTo(message.AsSpan(bytes.Length - 8));
        Assert.Equal(Whole.Of(new InstanceSnapshot(Samples.First(), At)), Whole.Of(Read(Sealed(message))));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(InstanceSnapshot.Version + 1)]
    public void Another_version_is_an_error(int version)
    {
        var message = Runtara.Actors.Journal.Snapshots.Snapshot.Parser.ParseFrom(Write(Samples.First()).AsSpan(8));
        message.Version = version;
        var error = Assert.Throws<InvalidDataException>(() => Read(Sealed(message.ToByteArray())));
        Assert.Contains($"version {version}", error.Message);
    }

    [Fact]
    public void A_phase_of_a_newer_program_is_an_error()
    {
        var message = Runtara.Actors.Journal.Snapshots.Snapshot.Parser.ParseFrom(Write(Samples.First()).AsSpan(8));
        message.ClearPhase();
        Assert.Throws<InvalidDataException>(() => Read(Sealed(message.ToByteArray())));
    }

    [Fact]
    public void An_unknown_manifest_is_an_error() =>
        Assert.Throws<InvalidDataException>(() => _serializer.FromBinary(Write(Samples.First()), "is2"));

    [Fact]
    public void Any_changed_bit_and_any_missing_end_is_an_error()
    {
        var bytes = Write(Samples.First());
        for (var bit = 0; bit < bytes.Length * 8; bit++)
        {
            var damaged = bytes.ToArray();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Throws<InvalidDataException>(() => Read(damaged));
        }
        for (var length = 0; length < bytes.Length; length++)
            Assert.Throws<InvalidDataException>(() => Read(bytes[..length]));
    }

    [Fact]
    public void There_is_no_snapshot_of_nothing() =>
        Assert.Throws<ArgumentException>(() => Write(new InstanceState.Absent()));

    private byte[] Write(InstanceState state) => _serializer.ToBinary(new InstanceSnapshot(state, At));

    private InstanceSnapshot Read(byte[] bytes) => (InstanceSnapshot)_serializer.FromBinary(bytes, Manifest);

    private static byte[] Sealed(byte[] message)
    {
        var bytes = new byte[8 + message.Length];
        message.CopyTo(bytes, 8);
        BinaryPrimitives.WriteUInt64BigEndian(bytes, XxHash3.HashToUInt64(message));
        return bytes;
    }
}
