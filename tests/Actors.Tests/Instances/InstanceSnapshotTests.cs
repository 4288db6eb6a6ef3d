using Runtara.Actors.Instances;

namespace Runtara.Actors.Tests.Instances;

/// <summary>When a snapshot is due.</summary>
public sealed class InstanceSnapshotTests
{
    private static InstanceState With(int checkpoints, int sleeps) => new InstanceState.Pending(
        new InstanceFacts
        {
            Id = Machine.Id,
            Tenant = Machine.Tenant,
            Checkpoints = [.. Enumerable.Range(0, checkpoints).Select(n => $"key-{n}")],
            Sleeps = Enumerable.Range(0, sleeps).Aggregate(
                new InstanceFacts { Id = Machine.Id, Tenant = Machine.Tenant }.Sleeps,
                (all, n) => all.Add($"nap-{n}", default)),
        },
        default);

    [Theory]
    [InlineData(0, 0, 1999, 2000, false)]
    [InlineData(0, 0, 2000, 2000, true)]
    [InlineData(0, 0, 5000, 2000, true)]
    [InlineData(0, 0, 1, 1, true)]
    public void It_is_due_after_so_many_events(int checkpoints, int sleeps, long events, int every, bool due) =>
        Assert.Equal(due, InstanceSnapshot.IsDue(With(checkpoints, sleeps), events, every));

    [Theory]
    [InlineData(8000, 0, 1999, 2000, false)]
    [InlineData(8000, 0, 2000, 2000, true)]
    [InlineData(6000, 6000, 2000, 2000, false)]
    [InlineData(6000, 6000, 2999, 2000, false)]
    [InlineData(6000, 6000, 3000, 2000, true)]
    public void It_is_due_later_when_there_are_many_keys(
        int checkpoints, int sleeps, long events, int every, bool due) =>
        Assert.Equal(due, InstanceSnapshot.IsDue(With(checkpoints, sleeps), events, every));

    [Fact]
    public void With_0_it_is_never_due() =>
        Assert.False(InstanceSnapshot.IsDue(With(0, 0), long.MaxValue, 0));

    [Fact]
    public void Nothing_has_no_snapshot() =>
        Assert.False(InstanceSnapshot.IsDue(new InstanceState.Absent(), 0, 1));
}
