using Akka.Configuration;
using Runtara.Daemon.Configuration;

namespace Runtara.Host.Tests;

/// <summary>The limits of the semantics, as they are when nothing is said.</summary>
public sealed class LimitsTests
{
    private readonly DaemonOptions _options =
        DaemonConfiguration.Load(null, [], new Dictionary<string, string>()).Options;

    [Fact]
    public void The_sizes_are_those_of_the_semantics()
    {
        var edge = _options.Edge;
        Assert.Equal(64 << 20, edge.Frames.PayloadBytesMax);
        Assert.Equal(TimeSpan.FromSeconds(30), edge.Frames.StallTimeout);
        Assert.Equal(
            (16 << 20, 4 << 20, 16 << 20, 64 << 20),
            (edge.CheckpointBytesMax, edge.EventBytesMax, edge.InputBytesMax, edge.OutputBytesMax));
        Assert.Equal(64L << 20, _options.Runner.OutputBytesMax);
        Assert.Equal((2L << 30, 1 << 20), (edge.ImageBytesMax, edge.MetadataBytesMax));
        Assert.Equal((512L << 20, 64 << 10), (edge.FramesBytesMax, edge.Frames.BytesPerSecondMin));
        Assert.Equal(1000, edge.PageMax);
    }

    [Fact]
    public void The_numbers_are_those_of_the_semantics()
    {
        var instances = _options.Instances;
        Assert.Equal((100_000, 100_000), (instances.CheckpointsMax, instances.SleepsMax));
        Assert.Equal((10_000, 100_000), (instances.CustomSignalsMax, instances.CustomSignalsTotalMax));
        Assert.Equal(_options.Edge.SleepMax, instances.SleepMax);
        Assert.Equal(2000, instances.SnapshotEvery);
        Assert.Equal(16 * Environment.ProcessorCount, _options.Runner.Capacity);
        Assert.Equal(3, instances.MaxAttempts);
        Assert.Equal((1, 60), (instances.BackoffMin.TotalSeconds, instances.BackoffMax.TotalSeconds));
        Assert.Equal(120, instances.StaleAfter.TotalSeconds);
        Assert.Equal((10, 2), (instances.HibernateAfter.TotalSeconds, instances.HibernateIdle.TotalSeconds));
    }

    [Theory]
    [InlineData(
        "edge.frames-bytes-max=1MiB",
        "runtara.edge.frames-bytes-max: must not be less than runtara.edge.frame-bytes-max")]
    [InlineData("edge.frame-rate-min=0", "runtara.edge.frame-rate-min: must be at least 1 byte a second")]
    public void A_limit_that_lets_no_frame_in_is_refused(string setting, string problem) => Assert.Contains(
        problem,
        Assert.Throws<ConfigurationException>(
            () => DaemonConfiguration.Load(null, [setting], new Dictionary<string, string>())).Message);
}
