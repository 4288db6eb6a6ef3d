using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Runtara.Quic;

/// <summary>A connection id as a dictionary key.</summary>
internal readonly struct CidKey : IEquatable<CidKey>
{
    private readonly ulong _a, _b;
    private readonly uint _c;
    private readonly int _length;

    public unsafe CidKey(byte* id, nuint length)
    {
        Span<byte> padded = stackalloc byte[24];
        padded.Clear();
        new ReadOnlySpan<byte>(id, Math.Min((int)length, 20)).CopyTo(padded);
        _a = MemoryMarshal.Read<ulong>(padded);
        _b = MemoryMarshal.Read<ulong>(padded[8..]);
        _c = MemoryMarshal.Read<uint>(padded[16..]);
        _length = (int)length;
    }

    public bool Equals(CidKey other) =>
        _a == other._a && _b == other._b && _c == other._c && _length == other._length;

    public override bool Equals(object? obj) => obj is CidKey other && Equals(other);

    // HashCode is seeded for each process: a peer cannot aim its ids at one bucket.
    public override int GetHashCode() => HashCode.Combine(_a, _b, _c);
}
