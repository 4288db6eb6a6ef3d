using System.IO.Compression;
using ZstdSharp;

namespace Runtara.Actors.Images;

/// <summary>What the bytes of an image are.</summary>
public enum ImageFormat
{
    /// <summary>An executable that needs no other file.</summary>
    Executable,

    /// <summary>A root file system.</summary>
    Tar,

    /// <summary>A root file system, compressed with gzip.</summary>
    TarGzip,

    /// <summary>A root file system, compressed with zstd.</summary>
    TarZstd,
}

/// <summary>Tells the format of an image from its first bytes, whatever its file was called.</summary>
public static class ImageFormats
{
    /// <summary>
    /// How many of an image's first bytes decide its format: more than the largest first block of zstd.
    /// </summary>
    public const int StartBytes = 192 * 1024;

    private const int TarBlockBytes = 512;

    private const string Accepted =
        "accepted are a static Linux executable (ELF) and a root file system as .tar, .tar.gz or .tar.zst";

    /// <summary>
    /// Whether an image that begins like this can run here.
    /// </summary>
    /// <param name="start">All of it, or its first <see cref="StartBytes"/>.</param>
    /// <param name="format">What it is, when nothing is wrong.</param>
    /// <returns>Null, or what is wrong and what to do about it.</returns>
    public static string? Check(ReadOnlyMemory<byte> start, out ImageFormat format)
    {
        var recognised = Recognise(start.Span);
        format = recognised ?? default;
        return recognised switch
        {
            ImageFormat.Executable => ElfHeader.Problem(start.Span),
            ImageFormat.Tar => null,
            ImageFormat.TarGzip or ImageFormat.TarZstd => CompressedProblem(start, recognised.Value),
            _ when start.Span.StartsWith("#!"u8) =>
                $"binary is a script, and a container has no interpreter for it: pack both into a tar; {Accepted}",
            _ => $"binary is of an unknown kind: {Accepted}",
        };
    }

    /// <summary>The format by magic bytes; null when it is none of them.</summary>
    public static ImageFormat? Recognise(ReadOnlySpan<byte> start) => start switch
    {
        [0x7f, (byte)'E', (byte)'L', (byte)'F', ..] => ImageFormat.Executable,
        [0x1f, 0x8b, 8, ..] => ImageFormat.TarGzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ImageFormat.TarZstd,
        // A skippable frame, with which parallel compressors begin.
        [>= 0x50 and <= 0x5f, 0x2a, 0x4d, 0x18, ..] => ImageFormat.TarZstd,
        _ => IsTarHeader(start) ? ImageFormat.Tar : null,
    };

    /// <summary>The tar within; disposing the result disposes <paramref name="image"/>.</summary>
    public static Stream OpenTar(Stream image, ImageFormat format) => format switch
    {
        ImageFormat.TarGzip => new GZipStream(image, CompressionMode.Decompress),
        ImageFormat.TarZstd => new DecompressionStream(image, leaveOpen: false),
        _ => image,
    };

    /// <summary>Whether a block is the header of a tar entry: its checksum is right.</summary>
    public static bool IsTarHeader(ReadOnlySpan<byte> block)
    {
        const int at = 148, length = 8;
        if (block.Length < TarBlockBytes)
            return false;
        var sum = length * ' ';
        for (var i = 0; i < TarBlockBytes; i++)
            sum += i is >= at and < at + length ? 0 : block[i];
        var text = System.Text.Encoding.ASCII.GetString(block.Slice(at, length)).Trim(' ', '\0');
        return text.Length > 0 && text.All(c => c is >= '0' and <= '7') && Convert.ToInt32(text, 8) == sum;
    }

    private static string? CompressedProblem(ReadOnlyMemory<byte> start, ImageFormat format)
    {
        var name = format == ImageFormat.TarGzip ? "gzip" : "zstd";
        var block = new byte[TarBlockBytes];
        try
        {
            using var tar = OpenTar(new MemoryStream(start.ToArray(), writable: false), format);
            return tar.ReadAtLeast(block, TarBlockBytes, throwOnEndOfStream: false) == TarBlockBytes
                && IsTarHeader(block) ? null : $"binary is compressed with {name}, but is no tar: {Accepted}";
        }
        catch (Exception e) when (IsBroken(e))
        {
            return $"binary is compressed with {name}, but damaged ({e.Message}): {Accepted}";
        }
    }

    /// <summary>Whether a decompressor said that the bytes are not what it reads.</summary>
    public static bool IsBroken(Exception cause) =>
        cause is InvalidDataException or EndOfStreamException or ZstdException;
}
