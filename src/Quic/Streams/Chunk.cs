using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Runtara.Quic;

/// <summary>Pinned, pooled send memory: ngtcp2 keeps pointing at it until the peer has acknowledged it.</summary>
internal sealed class Chunk
{
    public const int Small = 2048, Large = 32768;
    private const int SmallKept = 4096, LargeKept = 512;

    private static readonly ConcurrentStack<Chunk> s_small = new(), s_large = new();
    private static int s_smallCount, s_largeCount;

    private Chunk(int size) => Array = GC.AllocateUninitializedArray<byte>(size, pinned: true);

    public byte[] Array { get; }
    public int Length { get; set; }
    public Chunk? Next { get; set; }
    public int Free => Array.Length - Length;

    public unsafe byte* Pointer => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(Array));

    public static Chunk Rent(int size)
    {
        if (size > Large)
            return new Chunk(size);
        var small = size <= Small;
        if (!(small ? s_small : s_large).TryPop(out var chunk))
            return new Chunk(small ? Small : Large);
        Interlocked.Decrement(ref small ? ref s_smallCount : ref s_largeCount);
        return chunk;
    }

    public void Return()
    {
        (Length, Next) = (0, null);
        if (Array.Length > Large)
            return;
        var small = Array.Length == Small;
        if (Interlocked.Increment(ref small ? ref s_smallCount : ref s_largeCount) > (small ? SmallKept : LargeKept))
            Interlocked.Decrement(ref small ? ref s_smallCount : ref s_largeCount);
        else
            (small ? s_small : s_large).Push(this);
    }
}
