using System.Text;
using Runtara.Protocol;

namespace Runtara.Edge;

/// <summary>The limits of both doors; HOCON section <c>runtara.edge</c>. Each breach is a clear error.</summary>
public sealed record EdgeOptions
{
    /// <summary>What a frame may be. Default 64 MiB; 30 s of silence inside a frame drop the stream.</summary>
    public FrameLimits Frames { get; init; } = new();

    /// <summary>
    /// Bytes of large frames that the daemon keeps at once, of all who send some, beside
    /// <see cref="FrameBudget.OwnBytes"/> of each. Default 512 MiB.
    /// </summary>
    public long FramesBytesMax { get; init; } = 512L << 20;

    /// <summary>Bytes that one connection, or the door of one run directory, may have of that: two frames.</summary>
    internal long ShareBytesMax => 2L * Frames.PayloadBytesMax;

    /// <summary>How long a request may take before the caller hears that it did not succeed. Default 30 s.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a stopping server waits for the requests under way. Default 5 s; zero: not at all.</summary>
    public TimeSpan StopGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long one question to an instance may take before it is asked again. Default 2 s.</summary>
    public TimeSpan AskTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Questions to instances under way at once; further ones wait. Default 4,096.</summary>
    public int CommandsMax { get; init; } = 4096;

    /// <summary>The largest checkpoint state. Default 16 MiB.</summary>
    public int CheckpointBytesMax { get; init; } = 16 << 20;

    /// <summary>The largest event payload, but for results. Default 4 MiB.</summary>
    public int EventBytesMax { get; init; } = 4 << 20;

    /// <summary>
    /// The longest key of a checkpoint, sleep or custom signal, and the longest subtype of an event, in bytes of UTF-8.
    /// Default 1,024.
    /// </summary>
    public int KeyBytesMax { get; init; } = 1024;

    /// <summary>The largest payload of a signal, custom or not. Default 1 MiB.</summary>
    public int SignalBytesMax { get; init; } = 1 << 20;

    /// <summary>The longest grace that a stop may ask for. Default 1 h.</summary>
    public TimeSpan StopGraceMax { get; init; } = TimeSpan.FromHours(1);

    /// <summary>The longest reason of a stop, in characters. Default 4,096.</summary>
    public int ReasonLengthMax { get; init; } = 4096;

    /// <summary>The longest description of an image, in characters. Default 65,536.</summary>
    public int DescriptionLengthMax { get; init; } = 65_536;

    /// <summary>The largest input. Default 16 MiB.</summary>
    public int InputBytesMax { get; init; } = 16 << 20;

    /// <summary>The largest output. Default 64 MiB.</summary>
    public int OutputBytesMax { get; init; } = 64 << 20;

    /// <summary>The largest metadata of an image. Default 1 MiB.</summary>
    public int MetadataBytesMax { get; init; } = 1 << 20;

    /// <summary>The largest image. Default 2 GiB.</summary>
    public long ImageBytesMax { get; init; } = 2L << 30;

    /// <summary>The longest sleep. Default ten years of 365 days.</summary>
    public TimeSpan SleepMax { get; init; } = TimeSpan.FromDays(3650);

    /// <summary>The longest that a test of a capability may take. Default 1 h.</summary>
    public TimeSpan CapabilityTimeoutMax { get; init; } = TimeSpan.FromHours(1);

    /// <summary>The longest page of a list. Default 1,000.</summary>
    public int PageMax { get; init; } = 1000;

    /// <summary>The most payload bytes in a page of events that has more than one row. Default 16 MiB.</summary>
    public long PageBytesMax { get; init; } = 16 << 20;

    /// <summary>The most buckets in an answer about metrics. Default 10,000: more than a year of hours.</summary>
    public int MetricsBucketsMax { get; init; } = 10_000;

    /// <summary>
    /// What is wrong with a key; null when nothing is. No table keeps a NUL: what stands in its place there may be
    /// another key.
    /// </summary>
    internal string? CheckKey(string key) =>
        key.Contains('\0') ? "checkpoint_id must not have a NUL" : CheckName("checkpoint_id", key);

    /// <summary>What is wrong with the length of a key or of another short text; null when nothing is.</summary>
    internal string? CheckName(string field, string text) =>
        Encoding.UTF8.GetByteCount(text) is var bytes && bytes > KeyBytesMax
            ? $"{field} has {bytes} bytes, the limit is {KeyBytesMax} (edge.key-bytes-max)"
            : null;
}
