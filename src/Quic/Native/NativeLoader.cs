using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Runtara.Quic.Native;

/// <summary>
/// Finds the two libraries that no .NET package carries: the folder in <c>RUNTARA_NGTCP2_DIR</c>, then the
/// application's folder, then the system. The crypto helper needs libngtcp2 by its soname, so libngtcp2 goes first.
/// </summary>
internal static class NativeLoader
{
    public const string FolderVariable = "RUNTARA_NGTCP2_DIR";

    private static readonly Lazy<string?> s_missing = new(FindMissing);

    // The resolver must be in place before the first P/Invoke of this assembly, whoever makes it.
#pragma warning disable CA2255
    [ModuleInitializer]
    internal static void Install() => NativeLibrary.SetDllImportResolver(typeof(NativeLoader).Assembly, Resolve);
#pragma warning restore CA2255

    /// <summary>Throws a <see cref="QuicException"/> that says what to install when a library is missing.</summary>
    public static void Require()
    {
        if (!OperatingSystem.IsLinux() || IntPtr.Size != 8)
            throw new QuicException("This QUIC transport runs on 64-bit Linux only.");
        if (s_missing.Value is { } why)
            throw new QuicException(Explain(why));
    }

    public static nint CryptoExport(string name) => NativeLibrary.GetExport(Load(Ngtcp2.CryptoLibrary), name);

    internal static string Explain(string why) =>
        $"The QUIC library cannot be loaded: {why} Install it with `apt-get install libngtcp2-crypto-gnutls8` " +
        "(Debian 13, Ubuntu 26.04; on Debian 12 from bookworm-backports), or put libngtcp2.so.16 and " +
        $"libngtcp2_crypto_gnutls.so.8 next to the application or into the folder named by {FolderVariable}.";

    private static string? FindMissing()
    {
        foreach (var name in new[] { GnuTls.Library, Ngtcp2.Library, Ngtcp2.CryptoLibrary })
        {
            try
            {
                Load(name);
            }
            catch (DllNotFoundException e)
            {
                return $"{name}: {e.Message.ReplaceLineEndings(" ")}";
            }
        }
        return null;
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path) =>
        name is Ngtcp2.Library or Ngtcp2.CryptoLibrary ? Load(name) : 0;

    private static nint Load(string name)
    {
        if (name == Ngtcp2.CryptoLibrary)
            Load(Ngtcp2.Library);
        foreach (var folder in new[] { Environment.GetEnvironmentVariable(FolderVariable), AppContext.BaseDirectory })
        {
            if (!string.IsNullOrEmpty(folder) && NativeLibrary.TryLoad(Path.Combine(folder, name), out var handle))
                return handle;
        }
        return NativeLibrary.Load(name);
    }
}
