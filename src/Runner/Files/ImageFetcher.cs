using System.Buffers;
using System.Security.Cryptography;
using Runtara.Actors.Images;

namespace Runtara.Runner.Files;

/// <summary>
/// Makes a root file system of an image's bytes. They are hashed while they come from the store, and unpacked only
/// when the hash was right.
/// </summary>
internal sealed class ImageFetcher(IImageStore images, ImageLimits limits)
{
    /// <summary>
    /// Unpacks the image to <paramref name="root"/>, by way of the file <paramref name="blob"/>, which is gone then.
    /// </summary>
    internal async Task FetchAsync(string sha256, string blob, string root, CancellationToken cancellation)
    {
        var actual = await CopyAsync(sha256, blob, cancellation);
        if (actual != sha256)
            throw new RunnerException($"image {sha256} is damaged in the store: its bytes have SHA-256 {actual}");
        await Task.Run(() => Unpack(blob, root, cancellation), cancellation);
        File.Delete(blob);
    }

    private void Unpack(string blob, string root, CancellationToken cancellation)
    {
        using var unpacker = new RootUnpacker(root, limits.EntriesMax);
        if (FormatOf(blob) is { } format and not ImageFormat.Executable)
            UnpackTar(unpacker, blob, format, cancellation);
        else
        {
            var binary = Path.Combine(root, "binary");
            File.Move(blob, binary);
            File.SetUnixFileMode(binary, Modes.Executable);
        }
        unpacker.MakeMountPoints();
    }

    private void UnpackTar(RootUnpacker unpacker, string blob, ImageFormat format, CancellationToken cancellation)
    {
        try
        {
            using var tar = ImageFormats.OpenTar(File.OpenRead(blob), format);
            unpacker.Unpack(new TarReader(tar, limits), cancellation);
        }
        catch (Exception e) when (ImageFormats.IsBroken(e))
        {
            throw TarReader.Wrong($"cannot be decompressed: {e.Message}");
        }
    }

    private static ImageFormat? FormatOf(string blob)
    {
        using var file = File.OpenRead(blob);
        var start = new byte[512];
        return ImageFormats.Recognise(start.AsSpan(0, file.ReadAtLeast(start, start.Length, false)));
    }

    private async Task<string> CopyAsync(string sha256, string target, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(128 * 1024);
        try
        {
            await using var source = await OpenAsync(sha256, cancellation);
            await using var file = new FileStream(target, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0);
            while (await source.ReadAsync(buffer, cancellation) is > 0 and var count)
            {
                hash.AppendData(buffer, 0, count);
                await file.WriteAsync(buffer.AsMemory(0, count), cancellation);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private async Task<Stream> OpenAsync(string sha256, CancellationToken cancellation)
    {
        try
        {
            return await images.OpenBlobAsync(sha256, cancellation);
        }
        catch (FileNotFoundException)
        {
            throw new RunnerException($"the bytes of image {sha256} are not in the store");
        }
    }
}
