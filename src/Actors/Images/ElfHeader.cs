using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Runtara.Actors.Images;

/// <summary>What the header of an ELF file says about where it can run (System V ABI, chapters 4 and 5).</summary>
internal static class ElfHeader
{
    private const int HeaderBytes = 64;
    private const int ProgramHeaderBytes = 56;
    private const int InterpreterType = 3;
    private const int PathBytesMax = 256;

    private static (ushort Number, string Name) Machine =>
        RuntimeInformation.ProcessArchitecture == Architecture.Arm64
            ? ((ushort)183, "aarch64") : ((ushort)62, "x86-64");

    /// <summary>Why the file cannot run as the only file of a container, and what helps; null when it can.</summary>
    internal static string? Problem(ReadOnlySpan<byte> start)
    {
        if (start.Length < HeaderBytes || start[4] != 2 || start[5] != 1 || Number(start[18..]) != Machine.Number)
            return $"binary is an ELF file, but not for this machine: build it for Linux on {Machine.Name}";
        var isProgram = Number(start[16..]) is 2 or 3 && BinaryPrimitives.ReadUInt64LittleEndian(start[24..]) != 0;
        if (!isProgram)
            return "binary is an ELF file, but a library or an object file: link it to an executable";
        var (at, size, count) = (
            BinaryPrimitives.ReadUInt64LittleEndian(start[32..]), Number(start[54..]), Number(start[56..]));
        if (size != ProgramHeaderBytes || at > (ulong)start.Length || at + (ulong)(size * count) > (ulong)start.Length)
            return "binary is an ELF file, but its program headers are damaged or not at its beginning";
        for (var i = 0; i < count; i++)
        {
            var header = start.Slice((int)at + (i * size), size);
            if (BinaryPrimitives.ReadInt32LittleEndian(header) == InterpreterType)
                return Dynamic(Interpreter(start, header));
        }
        return null;
    }

    private static string Dynamic(string interpreter) =>
        $"binary is dynamically linked: it needs {interpreter} and libraries, and its container has no other file. "
        + "Link it statically (Rust: --target x86_64-unknown-linux-musl; C: -static; Go: CGO_ENABLED=0; "
        + ".NET: PublishAot with StaticExecutable), or pack it with all that it needs into a root file system tar";

    private static string Interpreter(ReadOnlySpan<byte> start, ReadOnlySpan<byte> header)
    {
        var at = BinaryPrimitives.ReadUInt64LittleEndian(header[8..]);
        var length = BinaryPrimitives.ReadUInt64LittleEndian(header[32..]);
        if (length > PathBytesMax || at > (ulong)start.Length || at + length > (ulong)start.Length)
            return "a dynamic loader";
        return Encoding.UTF8.GetString(start.Slice((int)at, (int)length)).TrimEnd('\0');
    }

    private static ushort Number(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt16LittleEndian(bytes);
}
