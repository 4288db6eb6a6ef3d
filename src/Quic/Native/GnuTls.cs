using System.Runtime.InteropServices;

namespace Runtara.Quic.Native;

/// <summary>The part of GnuTLS (soname 30) that a QUIC session needs.</summary>
internal static unsafe partial class GnuTls
{
    public const string Library = "libgnutls.so.30";

    public const uint Server = 1, Client = 2, NoAutoSendTicket = 1 << 21;
    public const int CredentialsCertificate = 1, FormatPem = 1, NameDns = 1;
    public const uint AlpnMandatory = 1, AlpnServerPrecedence = 2;

    [StructLayout(LayoutKind.Sequential)]
    public struct Datum
    {
        public byte* Data;
        public uint Size;
    }

    public static void Check(int result, string what)
    {
        if (result < 0)
            throw new QuicException($"{what}: {Marshal.PtrToStringAnsi(gnutls_strerror(result))} ({result})");
    }

    [LibraryImport(Library)]
    public static partial int gnutls_certificate_allocate_credentials(nint* credentials);
    [LibraryImport(Library)]
    public static partial void gnutls_certificate_free_credentials(nint credentials);
    [LibraryImport(Library)]
    public static partial int gnutls_certificate_set_x509_key_mem(nint credentials, Datum* cert, Datum* key, int type);
    [LibraryImport(Library)]
    public static partial int gnutls_init(nint* session, uint flags);
    [LibraryImport(Library)]
    public static partial void gnutls_deinit(nint session);
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int gnutls_priority_init(nint* priority, string text, byte** error);
    [LibraryImport(Library)]
    public static partial void gnutls_priority_deinit(nint priority);
    [LibraryImport(Library)]
    public static partial int gnutls_priority_set(nint session, nint priority);
    [LibraryImport(Library)]
    public static partial int gnutls_credentials_set(nint session, int type, nint credentials);
    [LibraryImport(Library)]
    public static partial int gnutls_alpn_set_protocols(nint session, Datum* protocols, uint count, uint flags);
    [LibraryImport(Library)]
    public static partial int gnutls_alpn_get_selected_protocol(nint session, Datum* protocol);
    [LibraryImport(Library)]
    public static partial int gnutls_server_name_set(nint session, int type, byte* name, nuint length);
    [LibraryImport(Library)]
    public static partial void gnutls_session_set_ptr(nint session, void* pointer);
    [LibraryImport(Library)]
    public static partial Datum* gnutls_certificate_get_peers(nint session, uint* count);
    [LibraryImport(Library)]
    private static partial nint gnutls_strerror(int error);
}
