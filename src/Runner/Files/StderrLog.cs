using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Runtara.Runner.Files;

/// <summary>
/// <c>stderr.log</c>: all of a program's standard error up to a limit, beyond it the beginning and the end. The end is
/// kept in a ring on disk behind the beginning and put in order by <see cref="Finish"/>; the last 4 KiB also in memory.
/// </summary>
internal sealed class StderrLog(SafeFileHandle file, int bytesMax) : IDisposable
{
    internal const int TailBytes = 4096;
    private readonly byte[] _tail = new byte[TailBytes];
    private readonly int _headMax = bytesMax / 2;
    private readonly int _ringMax = bytesMax - bytesMax / 2;
    private readonly object _gate = new();
    private long _written;
    private bool _finished;

    /// <summary>The last 4 KiB as text; a character cut in two at its beginning is left out.</summary>
    internal string Tail
    {
        get
        {
            lock (_gate)
                return TailText();
        }
    }

    internal void Append(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            if (_finished)
                return;
            AppendTail(bytes);
            try
            {
                AppendFile(bytes);
            }
            catch (IOException)
            {
                // A full disk costs the log, not the run: the tail is in memory.
            }
            _written += bytes.Length;
        }
    }

    /// <summary>Puts the file in order. Nothing is written afterwards.</summary>
    internal void Finish()
    {
        lock (_gate)
        {
            if (_finished)
                return;
            _finished = true;
            var dropped = _written - bytesMax;
            if (dropped <= 0)
                return;
            var ring = new byte[_ringMax];
            RandomAccess.Read(file, ring, _headMax);
            var start = (int)((_written - _headMax) % _ringMax);
            byte[] ordered = [.. ring[start..], .. ring[..start]];
            var marker = Encoding.ASCII.GetBytes($"\n[{dropped} bytes left out]\n");
            RandomAccess.Write(file, marker, _headMax);
            RandomAccess.Write(file, ordered, _headMax + marker.Length);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        lock (_gate)
        {
            _finished = true;
            file.Dispose();
        }
    }

    private void AppendTail(ReadOnlySpan<byte> bytes)
    {
        var kept = bytes.Length > TailBytes ? bytes[^TailBytes..] : bytes;
        var at = (int)((_written + bytes.Length - kept.Length) % TailBytes);
        var first = Math.Min(kept.Length, TailBytes - at);
        kept[..first].CopyTo(_tail.AsSpan(at));
        kept[first..].CopyTo(_tail);
    }

    private void AppendFile(ReadOnlySpan<byte> bytes)
    {
        var position = _written;
        while (bytes.Length > 0)
        {
            var inHead = position < _headMax;
            var ringAt = (position - _headMax) % _ringMax;
            var offset = inHead ? position : _headMax + ringAt;
            var room = inHead ? _headMax - position : _ringMax - ringAt;
            var count = (int)Math.Min(bytes.Length, room);
            RandomAccess.Write(file, bytes[..count], offset);
            bytes = bytes[count..];
            position += count;
        }
    }

    private string TailText()
    {
        if (_written <= TailBytes)
            return Encoding.UTF8.GetString(_tail, 0, (int)_written);
        var at = (int)(_written % TailBytes);
        byte[] ordered = [.. _tail[at..], .. _tail[..at]];
        var start = 0;
        while (start < 4 && (ordered[start] & 0xc0) == 0x80)
            start++;
        return Encoding.UTF8.GetString(ordered, start, TailBytes - start);
    }
}
