using Runtara.Actors.Instances;

namespace Runtara.Actors.Tests.Instances;

public sealed class InstanceShardTests
{
    // Stored in every catalog row: these numbers may never change.
    [Theory]
    [InlineData("order-1", 38)]
    [InlineData("a", 18)]
    public void The_shard_of_an_id_is_fixed_for_ever(string id, int shard) =>
        Assert.Equal(shard, InstanceShard.Of(new InstanceId(id)));
}
