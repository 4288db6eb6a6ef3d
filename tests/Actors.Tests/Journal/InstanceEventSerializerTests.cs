using System.Collections.Immutable;
using System.Reflection;
using Akka.Actor;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Journal;

namespace Runtara.Actors.Tests.Journal;

/// <summary>
/// The rows of every released version must be readable for ever. <c>Golden/</c> is written by hand when an event is
/// added, and never changed to make a test pass.
/// </summary>
public sealed class InstanceEventSerializerTests : IDisposable
{
    private static readonly DateTimeOffset At = new(2026, 2, 3, 4, 5, 6, 789, TimeSpan.Zero);

    private readonly ActorSystem _system = ActorSystem.Create("serializer");
    private readonly InstanceEventSerializer _serializer;

    public InstanceEventSerializerTests() => _serializer = new InstanceEventSerializer((ExtendedActorSystem)_system);

    public void Dispose() => _system.Dispose();

    private static IEnumerable<InstanceEvent> Samples =>
    [
        new InstanceEvent.Started(
            new("i-1"), new("acme"), new ImageId("img"), "orders", "aa", "bb", TimeSpan.FromSeconds(300),
            ImmutableSortedDictionary<string, string>.Empty.Add("A", "1"), 3, At),
        new InstanceEvent.SelfRegistered(new("i-1"), new("acme"), At),
        new InstanceEvent.AttemptLaunched(new(2), "cp", At),
        new InstanceEvent.AttemptRegistered(new(2), null, At),
        new InstanceEvent.CheckpointSaved("cp", 10, At),
        new InstanceEvent.SleepScheduled("nap", At.AddSeconds(15), At),
        new InstanceEvent.Hibernated(new(2), "nap", At.AddSeconds(15), At),
        new InstanceEvent.Paused(new(2), At),
        new InstanceEvent.Woken(true, At),
        new InstanceEvent.AttemptExited(new(2), 7, null, true, "tail", 1024, 2048, At),
        new InstanceEvent.AttemptCrashed(new(2), "exited with code 7", 2, 1, At.AddSeconds(1), At),
        new InstanceEvent.AttemptLost(new(2), "restart", At),
        new InstanceEvent.StopRequested(new(2), StopReason.Timeout, "why", TimeSpan.FromSeconds(5), At),
        new InstanceEvent.Completed("cc", At),
        new InstanceEvent.Failed("no", At),
        new InstanceEvent.Cancelled("wish", At),
        new InstanceEvent.CustomReported("sub", "cp", At.AddSeconds(-1), At),
        new InstanceEvent.RetryRecorded("cp", 2, "again", At),
        new InstanceEvent.SignalSent(SignalKind.Pause, At) { Payload = new byte[] { 1, 2 } },
        new InstanceEvent.SignalAcknowledged(SignalKind.Pause, At),
        new InstanceEvent.CustomSignalSent(7, "ok", new("01020304-0506-0708-090a-0b0c0d0e0f10"), At),
        new InstanceEvent.CustomSignalDelivered("ok", 7, At),
        new InstanceEvent.CustomSignalsConsumed([7, 8], At),
    ];

    private static string Golden => File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Golden/journal-v1.txt"));

    [Fact]
    public void Every_event_is_written_as_the_first_release_wrote_it()
    {
        var written = Samples.Select(
            e => $"{e.GetType().Name} {_serializer.Manifest(e)} {Convert.ToHexStringLower(_serializer.ToBinary(e))}\n");
        Assert.Equal(Golden, string.Concat(written));
    }

    [Fact]
    public void Every_row_of_the_first_release_is_read_back_whole()
    {
        foreach (var line in Golden.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var (name, manifest, bytes) = line.Split(' ') is [var n, var m, var hex]
                ? (n, m, Convert.FromHexString(hex))
                : throw new InvalidDataException(line);
            var read = _serializer.FromBinary(bytes, manifest);
            Assert.Equal(name, read.GetType().Name);
            Assert.Equal(bytes, _serializer.ToBinary(read));
        }
    }

    [Fact]
    public void What_rows_of_the_first_release_do_not_have_is_kept()
    {
        foreach (var happened in (InstanceEvent[])[
            new InstanceEvent.Paused(new(2), At) { CheckpointId = "paused" },
            new InstanceEvent.Woken(true, At) { ElapsedUntil = At.AddSeconds(15), RetryCount = 1 },
            new InstanceEvent.AttemptLost(new(2), "restart", At) { RetryCount = 1 },
        ])
        {
            var read = _serializer.FromBinary(_serializer.ToBinary(happened), _serializer.Manifest(happened));
            Assert.Equal(happened, read);
        }
    }

    [Fact]
    public void The_id_of_a_request_is_kept()
    {
        var request = Guid.NewGuid();
        foreach (var happened in (InstanceEvent[])[
            new InstanceEvent.CustomReported("s", null, At, At) { Request = request },
            new InstanceEvent.RetryRecorded("cp", 2, null, At) { Request = request },
        ])
        {
            var read = _serializer.FromBinary(_serializer.ToBinary(happened), _serializer.Manifest(happened));
            Assert.Equal(happened, read);
        }
    }

    [Fact]
    public void Every_event_type_has_a_sample() => Assert.Equal(
        typeof(InstanceEvent).GetNestedTypes(BindingFlags.Public).Select(t => t.Name).Order(),
        Samples.Select(e => e.GetType().Name).Order());

    [Fact]
    public void An_unknown_manifest_is_an_error() =>
        Assert.Throws<ArgumentException>(() => _serializer.FromBinary([], "zz9"));
}
