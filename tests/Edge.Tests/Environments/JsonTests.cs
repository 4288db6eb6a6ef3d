using System.Text;
using Runtara.Edge.Environments;

namespace Runtara.Edge.Tests.Environments;

public sealed class JsonTests
{
    [Theory]
    [InlineData("{}", true)]
    [InlineData(" [1, 2.5e3, null, true, \"x\"] ", true)]
    [InlineData("\"text\"", true)]
    [InlineData("", false)]
    [InlineData(" ", false)]
    [InlineData("{} {}", false)]
    [InlineData("{no json", false)]
    [InlineData("[1,]", false)]
    [InlineData("// nothing", false)]
    public void One_value_is_json(string text, bool expected) =>
        Assert.Equal(expected, ImageRequests.IsJson(Encoding.UTF8.GetBytes(text)));

    [Fact]
    public void Many_small_values_take_no_memory_of_their_own()
    {
        var zeros = Encoding.ASCII.GetBytes($"[{string.Join(',', Enumerable.Repeat('0', 4_000_000))}]");
        Assert.True(ImageRequests.IsJson("[0]"u8));

        var before = GC.GetAllocatedBytesForCurrentThread();
        var isJson = ImageRequests.IsJson(zeros);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.True(isJson);
        Assert.InRange(allocated, 0, 100_000);
    }
}
