using System.Runtime.InteropServices;

namespace Runtara.Runner.Native;

/// <summary>A null-terminated array of UTF-8 strings outside the managed heap.</summary>
internal sealed unsafe class NativeStrings : IDisposable
{
    private readonly int _count;

    internal NativeStrings(IEnumerable<string> strings)
    {
        var all = strings.ToArray();
        _count = all.Length;
        Pointer = (byte**)NativeMemory.Alloc((nuint)(_count + 1), (nuint)sizeof(byte*));
        for (var i = 0; i < _count; i++)
            Pointer[i] = (byte*)Marshal.StringToCoTaskMemUTF8(all[i]);
        Pointer[_count] = null;
    }

    internal byte** Pointer { get; }

    /// <inheritdoc />
    public void Dispose()
    {
        for (var i = 0; i < _count; i++)
            Marshal.FreeCoTaskMem((nint)Pointer[i]);
        NativeMemory.Free(Pointer);
    }
}
