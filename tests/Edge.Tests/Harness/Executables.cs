using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Runtara.Edge.Tests.Harness;

/// <summary>ELF files as small as they can be; nothing runs them.</summary>
internal static class Executables
{
    private const int HeaderBytes = 64;
    private const int ProgramHeaderBytes = 56;

    /// <summary>A static executable for this machine.</summary>
    /// <param name="content">What follows its headers, so that it differs from others.</param>
    public static byte[] Static(string content = "") => Static(Encoding.UTF8.GetBytes(content));

    /// <summary>A static executable for this machine.</summary>
    public static byte[] Static(byte[] content)
    {
        var file = new byte[HeaderBytes + ProgramHeaderBytes + content.Length];
        "\u007fELF"u8.CopyTo(file);
        (file[4], file[5], file[6]) = (2, 1, 1);
        Write(file, 16, 2);
        Write(file, 18, (short)(RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 183 : 62));
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(24), 0x400078);
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(32), HeaderBytes);
        Write(file, 54, ProgramHeaderBytes);
        Write(file, 56, 1);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(HeaderBytes), 1);
        content.CopyTo(file, HeaderBytes + ProgramHeaderBytes);
        return file;
    }

    /// <summary>A static executable of this many bytes.</summary>
    public static byte[] OfSize(int bytes) => Static(new byte[bytes - HeaderBytes - ProgramHeaderBytes]);

    /// <summary>An executable that asks for a dynamic loader.</summary>
    public static byte[] Dynamic(string loader)
    {
        var file = Static(loader + "\0");
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(HeaderBytes), 3);
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(HeaderBytes + 8), HeaderBytes + ProgramHeaderBytes);
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(HeaderBytes + 32), loader.Length + 1);
        return file;
    }

    /// <summary>As <see cref="Static(string)"/>, with one 16-bit number of the header changed.</summary>
    public static byte[] With(int at, short value)
    {
        var file = Static();
        Write(file, at, value);
        return file;
    }

    private static void Write(byte[] file, int at, short value) =>
        BinaryPrimitives.WriteInt16LittleEndian(file.AsSpan(at), value);
}
