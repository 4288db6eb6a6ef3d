using System.Globalization;
using System.Text;
using Runtara.Actors.Images;

namespace Runtara.Runner.Files;

/// <summary>The header of one entry of a tar. <paramref name="Type"/> is the flag of the format.</summary>
internal sealed record TarEntry(
    char Type, string Name, string LinkName, int Mode, DateTimeOffset? Modified);

/// <summary>
/// Reads a tar of a stranger, forward only: ustar, GNU long names, and the pax records that name, link, size and time
/// an entry. The reader of .NET believes the length of a pax header and allocates it; this one bounds what it keeps
/// and counts what it passes.
/// </summary>
internal sealed class TarReader(Stream source, ImageLimits limits)
{
    private const int BlockBytes = 512;
    private const int MetadataBytesMax = 256 * 1024;

    // Headers that only describe the entry after them: a name, a link, a few records.
    private const int HeadersMax = 16;
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private readonly byte[] _block = new byte[BlockBytes];
    private long _data;
    private long _padding;
    private long _total;
    private int _headers;

    /// <summary>The next entry, or null at the end.</summary>
    internal TarEntry? Next()
    {
        var extra = new Dictionary<string, string>();
        for (var descriptions = 0; descriptions <= HeadersMax; descriptions++)
        {
            Skip(_data + _padding);
            (_data, _padding) = (0, 0);
            if (!ReadHeader())
                return null;
            _headers++;
            var type = _block[156] == 0 ? '0' : (char)_block[156];
            SetData(Number(124, 12));
            switch (type)
            {
                case 'L': extra["path"] = ReadText().TrimEnd('\0'); break;
                case 'K': extra["linkpath"] = ReadText().TrimEnd('\0'); break;
                case 'x': ReadRecords(ReadText(), extra); break;
                case 'g': break;
                default: return Entry(type, extra);
            }
        }
        throw Wrong($"has more than {HeadersMax} headers before one entry");
    }

    /// <summary>The next bytes of the current entry's file; 0 at its end.</summary>
    internal int Read(Span<byte> buffer)
    {
        if (_data == 0)
            return 0;
        var some = buffer[..(int)Math.Min(buffer.Length, _data)];
        Fill(some);
        _data -= some.Length;
        return some.Length;
    }

    internal static BadImageException Wrong(string what) => new($"the root file system of the image {what}");

    private bool ReadHeader()
    {
        var count = source.ReadAtLeast(_block, BlockBytes, throwOnEndOfStream: false);
        if (count == 0 || (count == BlockBytes && !_block.AsSpan().ContainsAnyExcept((byte)0)))
            return false;
        if (count < BlockBytes)
            throw Wrong("ends within an entry");
        Count(count);
        return ImageFormats.IsTarHeader(_block) ? true : throw Wrong($"is no tar after {_headers} headers");
    }

    private TarEntry Entry(char type, Dictionary<string, string> extra)
    {
        if (extra.Keys.FirstOrDefault(k => k.StartsWith("GNU.sparse", StringComparison.Ordinal)) is not null)
            type = 'S';
        var name = Text(0, 100);
        if (_block.AsSpan(257, 6).SequenceEqual("ustar\0"u8) && _block[345] != 0)
            name = $"{Text(345, 155)}/{name}";
        if (extra.TryGetValue("size", out var size))
            SetData(long.TryParse(size, CultureInfo.InvariantCulture, out var bytes) ? bytes : -1);
        // Only a file has data, whatever the header of something else says.
        if (type is '1' or '2' or '3' or '4' or '5' or '6')
            SetData(0);
        return new TarEntry(
            type, extra.GetValueOrDefault("path", name), extra.GetValueOrDefault("linkpath", Text(157, 100)),
            (int)Number(100, 8) & 0xfff, Time(extra.GetValueOrDefault("mtime")));
    }

    private DateTimeOffset? Time(string? precise)
    {
        var seconds = double.TryParse(precise, CultureInfo.InvariantCulture, out var parsed)
            ? parsed : Number(136, 12);
        return seconds is >= 0 and < 32_503_680_000 ? DateTimeOffset.UnixEpoch.AddSeconds(seconds) : null;
    }

    private void SetData(long bytes)
    {
        if (bytes < 0)
            throw Wrong("has an entry whose size makes no sense");
        if (bytes > limits.UnpackedBytesMax)
            throw TooLarge();
        (_data, _padding) = (bytes, (BlockBytes - (bytes % BlockBytes)) % BlockBytes);
    }

    private string ReadText()
    {
        if (_data > MetadataBytesMax)
            throw Wrong($"has an entry with {_data} bytes of names and attributes, the limit is {MetadataBytesMax}");
        var bytes = new byte[_data];
        Read(bytes);
        return Decode(bytes);
    }

    // "<length of the record> <name>=<value>\n", the length in bytes of UTF-8.
    private static void ReadRecords(string text, Dictionary<string, string> records)
    {
        var bytes = Utf8.GetBytes(text).AsSpan();
        while (!bytes.IsEmpty)
        {
            var space = bytes.IndexOf((byte)' ');
            if (space < 1 || !int.TryParse(bytes[..space], CultureInfo.InvariantCulture, out var length)
                || length <= space || length > bytes.Length)
                throw Wrong("has a damaged pax record");
            var record = bytes[(space + 1)..length];
            if (record.IndexOf((byte)'=') is >= 0 and var equals)
                records[Utf8.GetString(record[..equals])] = Utf8.GetString(record[(equals + 1)..]).TrimEnd('\n');
            bytes = bytes[length..];
        }
    }

    private long Number(int at, int length)
    {
        var field = _block.AsSpan(at, length);
        if ((field[0] & 0x80) != 0)
        {
            // GNU: the rest is the number itself, big-endian.
            long value = field[0] & 0x7f;
            foreach (var b in field[1..])
                value = value > long.MaxValue >> 8 ? throw Wrong("has a number that is too large") : (value << 8) | b;
            return value;
        }
        var text = Encoding.ASCII.GetString(field).Trim(' ', '\0');
        if (!text.All(c => c is >= '0' and <= '7'))
            throw Wrong("has a header with a number that is none");
        return text.Length == 0 ? 0 : Convert.ToInt64(text, 8);
    }

    private string Text(int at, int length)
    {
        var field = _block.AsSpan(at, length);
        var end = field.IndexOf((byte)0);
        return Decode(end < 0 ? field : field[..end]);
    }

    private static string Decode(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return Utf8.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw Wrong($"has a name that is not UTF-8: {Encoding.Latin1.GetString(bytes)}");
        }
    }

    private void Skip(long bytes)
    {
        Span<byte> buffer = stackalloc byte[4096];
        for (; bytes > 0; bytes -= Math.Min(bytes, buffer.Length))
            Fill(buffer[..(int)Math.Min(bytes, buffer.Length)]);
    }

    private void Fill(Span<byte> buffer)
    {
        Count(buffer.Length);
        if (source.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false) < buffer.Length)
            throw Wrong("ends within an entry");
    }

    private void Count(int bytes)
    {
        if ((_total += bytes) > limits.UnpackedBytesMax)
            throw TooLarge();
    }

    private RunnerException TooLarge() =>
        Wrong($"unpacks to more than {limits.UnpackedBytesMax} bytes (images.unpacked-max-bytes)");
}
