using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using ZstdSharp;

namespace Runtara.Runner.Tests;

/// <summary>Root file systems as a workflow's author, or an attacker, would pack them.</summary>
internal static class Tars
{
    internal static byte[] Of(params TarEntry[] entries)
    {
        var tar = new MemoryStream();
        using (var writer = new TarWriter(tar, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach (var entry in entries)
                writer.WriteEntry(entry);
        }
        return tar.ToArray();
    }

    internal static TarEntry File(string name, byte[] content, UnixFileMode mode = (UnixFileMode)0x1ed) =>
        new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content), Mode = mode };

    internal static TarEntry File(string name, string content = "text") => File(name, Encoding.UTF8.GetBytes(content));

    internal static TarEntry Directory(string name, UnixFileMode mode = (UnixFileMode)0x1ed) =>
        new PaxTarEntry(TarEntryType.Directory, name) { Mode = mode };

    internal static TarEntry Link(string name, string target) =>
        new PaxTarEntry(TarEntryType.SymbolicLink, name) { LinkName = target };

    internal static TarEntry HardLink(string name, string target) =>
        new PaxTarEntry(TarEntryType.HardLink, name) { LinkName = target };

    internal static TarEntry Other(string name, TarEntryType type) => new PaxTarEntry(type, name);

    internal static byte[] Gzip(byte[] tar)
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
            gzip.Write(tar);
        return packed.ToArray();
    }

    internal static byte[] Zstd(byte[] tar)
    {
        var packed = new MemoryStream();
        using (var zstd = new CompressionStream(packed, leaveOpen: true))
            zstd.Write(tar);
        return packed.ToArray();
    }
}
