using System.Buffers;

namespace Runtara.Protocol;

/// <summary>
/// Bytes collected piece by piece into rented arrays. It never holds more than what arrived plus one array.
/// </summary>
internal sealed class PooledBytes : IDisposable
{
    private const int SegmentBytes = 64 * 1024;

    private readonly List<byte[]> _arrays = [];
    private int _free;
    private long _length;

    internal long Length => _length;

    internal void Append(in ReadOnlySequence<byte> bytes)
    {
        foreach (var memory in bytes)
            Append(memory.Span);
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_free == 0)
            {
                _arrays.Add(ArrayPool<byte>.Shared.Rent(SegmentBytes));
                _free = SegmentBytes;
            }

            var count = Math.Min(bytes.Length, _free);
            bytes[..count].CopyTo(_arrays[^1].AsSpan(SegmentBytes - _free));
            _free -= count;
            _length += count;
            bytes = bytes[count..];
        }
    }

    internal ReadOnlySequence<byte> ToSequence()
    {
        if (_arrays.Count == 0)
            return ReadOnlySequence<byte>.Empty;

        Segment? first = null;
        Segment? last = null;
        for (var i = 0; i < _arrays.Count; i++)
        {
            var bytes = i == _arrays.Count - 1 ? SegmentBytes - _free : SegmentBytes;
            last = new Segment(_arrays[i].AsMemory(0, bytes), last);
            first ??= last;
        }

        return new ReadOnlySequence<byte>(first!, 0, last!, last!.Memory.Length);
    }

    public void Dispose()
    {
        foreach (var array in _arrays)
            ArrayPool<byte>.Shared.Return(array);
        _arrays.Clear();
        _free = 0;
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        internal Segment(ReadOnlyMemory<byte> memory, Segment? previous)
        {
            Memory = memory;
            if (previous is null)
                return;
            RunningIndex = previous.RunningIndex + previous.Memory.Length;
            previous.Next = this;
        }
    }
}
