using Runtara.Actors.Instances;
using Runtara.Actors.Tests.Proof;

namespace Runtara.Actors.Tests.Instances;

public sealed class RecentRequestsTests
{
    private static readonly Guid[] Requests =
        [.. Enumerable.Range(0, RecentRequests.CountMin * 2).Select(n => new Guid(n, 7, 7, new byte[8]))];

    private static int Remembered(RecentRequests of, int given) =>
        Requests.Take(given).Reverse().TakeWhile(of.Contains).Count();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(8192)]
    public void All_are_remembered_up_to_a_number(int given) =>
        Assert.Equal(given, Remembered(RecentRequests.Of(Requests.Take(given)), given));

    [Theory]
    [InlineData(8193)]
    [InlineData(12_345)]
    [InlineData(16_384)]
    public void Beyond_it_the_newest_are_and_not_many_more(int given)
    {
        var recent = RecentRequests.Of(Requests.Take(given));
        Assert.InRange(Remembered(recent, given), RecentRequests.CountMin, RecentRequests.CountMin + 255);
        Assert.Equal(Remembered(recent, given), recent.All.Count());
    }

    [Theory]
    [InlineData(300)]
    [InlineData(12_345)]
    public void What_is_written_down_is_read_back_the_same(int given)
    {
        var recent = RecentRequests.Of(Requests.Take(given));
        Assert.Equal(Whole.Of(recent), Whole.Of(RecentRequests.Of(recent.All)));
    }
}
