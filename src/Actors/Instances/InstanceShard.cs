using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Runtara.Actors.Instances;

/// <summary>
/// Which shard an instance lives in. The number is stored in the catalog, so the function is fixed for ever.
/// </summary>
public static class InstanceShard
{
    /// <summary>The fixed number of shards.</summary>
    public const int Count = 64;

    /// <summary>
    /// The shard of an instance, 0 to <see cref="Count"/> - 1: XxHash32 of the id's UTF-16 code units.
    /// </summary>
    public static int Of(InstanceId instance) =>
        (int)(XxHash32.HashToUInt32(MemoryMarshal.AsBytes(instance.Value.AsSpan())) % Count);
}
