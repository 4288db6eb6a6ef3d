using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Runtara.Quic.Native;

/// <summary>Entry points of libngtcp2 1.x (soname 16) and of its GnuTLS helper (soname 8).</summary>
internal static unsafe partial class Ngtcp2
{
    public const string Library = "libngtcp2.so.16", CryptoLibrary = "libngtcp2_crypto_gnutls.so.8";

    public static string Describe(int error) => $"{Marshal.PtrToStringAnsi(ngtcp2_strerror(error))} ({error})";

    [LibraryImport(Library)]
    public static partial void ngtcp2_settings_default_versioned(int version, byte* settings);
    [LibraryImport(Library)]
    public static partial void ngtcp2_transport_params_default_versioned(int version, byte* parameters);
    [LibraryImport(Library)]
    public static partial int ngtcp2_pkt_decode_version_cid(
        VersionCid* result, byte* data, nuint length, nuint shortDcidLength);
    [LibraryImport(Library)]
    public static partial int ngtcp2_accept(PacketHeader* result, byte* packet, nuint length);
    [LibraryImport(Library)]
    public static partial nint ngtcp2_pkt_write_version_negotiation(
        byte* dest, nuint destLength, byte random, byte* dcid, nuint dcidLength, byte* scid, nuint scidLength,
        uint* versions, nuint count);
    [LibraryImport(Library)]
    public static partial nint ngtcp2_pkt_write_stateless_reset(
        byte* dest, nuint destLength, byte* token, byte* random, nuint randomLength);
    [LibraryImport(Library)]
    public static partial int ngtcp2_conn_client_new_versioned(
        nint* conn, Cid* dcid, Cid* scid, NetworkPath* path, uint version, int callbacksVersion, byte* callbacks,
        int settingsVersion, byte* settings, int parametersVersion, byte* parameters, void* memory, nint user);
    [LibraryImport(Library)]
    public static partial int ngtcp2_conn_server_new_versioned(
        nint* conn, Cid* dcid, Cid* scid, NetworkPath* path, uint version, int callbacksVersion, byte* callbacks,
        int settingsVersion, byte* settings, int parametersVersion, byte* parameters, void* memory, nint user);
    [LibraryImport(Library)]
    public static partial void ngtcp2_conn_del(nint conn);
    [LibraryImport(Library)]
    public static partial int ngtcp2_conn_read_pkt_versioned(
        nint conn, NetworkPath* path, int infoVersion, PacketInfo* info, byte* packet, nuint length, ulong now);
    [LibraryImport(Library)]
    public static partial nint ngtcp2_conn_writev_stream_versioned(
        nint conn, NetworkPath* path, int infoVersion, PacketInfo* info, byte* dest, nuint destLength, nint* written,
        uint flags, long streamId, Vec* data, nuint count, ulong now);
    [LibraryImport(Library)]
    public static partial nint ngtcp2_conn_write_connection_close_versioned(
        nint conn, NetworkPath* path, int infoVersion, PacketInfo* info, byte* dest, nuint destLength,
        CloseError* error, ulong now);
    [LibraryImport(Library)]
    public static partial int ngtcp2_conn_handle_expiry(nint conn, ulong now);
    [LibraryImport(Library), SuppressGCTransition]
    public static partial ulong ngtcp2_conn_get_expiry(nint conn);
    [LibraryImport(Library), SuppressGCTransition]
    public static partial ulong ngtcp2_conn_get_pto(nint conn);
    [LibraryImport(Library), SuppressGCTransition]
    public static partial void ngtcp2_conn_update_pkt_tx_time(nint conn, ulong now);
    [LibraryImport(Library), SuppressGCTransition]
    public static partial nuint ngtcp2_conn_get_send_quantum(nint conn);
    [LibraryImport(Library), SuppressGCTransition]
    public static partial nuint ngtcp2_conn_get_max_tx_udp_payload_size(nint conn);
    [LibraryImport(Library), SuppressGCTransition]
    public static partial ulong ngtcp2_conn_get_max_data_left(nint conn);
    [LibraryImport(Library), SuppressGCTransition]
    public static partial ulong ngtcp2_conn_get_streams_bidi_left(nint conn);
    [LibraryImport(Library)]
    public static partial int ngtcp2_conn_open_bidi_stream(nint conn, long* id, void* streamUser);
    [LibraryImport(Library)]
    public static partial int ngtcp2_conn_shutdown_stream_read(nint conn, uint flags, long id, ulong code);
    [LibraryImport(Library)]
    public static partial int ngtcp2_conn_shutdown_stream_write(nint conn, uint flags, long id, ulong code);
    [LibraryImport(Library)]
    public static partial int ngtcp2_conn_extend_max_stream_offset(nint conn, long id, ulong bytes);
    [LibraryImport(Library)]
    public static partial void ngtcp2_conn_extend_max_offset(nint conn, ulong bytes);
    [LibraryImport(Library)]
    public static partial void ngtcp2_conn_extend_max_streams_bidi(nint conn, nuint count);
    [LibraryImport(Library)]
    public static partial void ngtcp2_conn_set_keep_alive_timeout(nint conn, ulong timeout);
    [LibraryImport(Library)]
    public static partial void ngtcp2_conn_set_tls_native_handle(nint conn, nint tls);
    [LibraryImport(Library)]
    public static partial byte ngtcp2_conn_get_tls_alert(nint conn);
    [LibraryImport(Library)]
    public static partial CloseError* ngtcp2_conn_get_ccerr(nint conn);
    [LibraryImport(Library)]
    public static partial void ngtcp2_ccerr_set_liberr(CloseError* e, int error, byte* reason, nuint length);
    [LibraryImport(Library)]
    public static partial void ngtcp2_ccerr_set_tls_alert(CloseError* e, byte alert, byte* reason, nuint length);
    [LibraryImport(Library)]
    public static partial void ngtcp2_ccerr_set_application_error(
        CloseError* e, ulong code, byte* reason, nuint length);
    [LibraryImport(Library)]
    public static partial void ngtcp2_conn_get_conn_info_versioned(nint conn, int version, ConnectionInfo* info);
    [LibraryImport(Library)]
    private static partial nint ngtcp2_strerror(int error);

    [LibraryImport(CryptoLibrary)]
    public static partial int ngtcp2_crypto_gnutls_configure_server_session(nint session);
    [LibraryImport(CryptoLibrary)]
    public static partial int ngtcp2_crypto_gnutls_configure_client_session(nint session);
    [LibraryImport(CryptoLibrary)]
    public static partial int ngtcp2_crypto_generate_stateless_reset_token(
        byte* token, byte* secret, nuint secretLength, Cid* cid);
    [LibraryImport(CryptoLibrary)]
    public static partial nint ngtcp2_crypto_generate_retry_token(
        byte* token, byte* secret, nuint secretLength, uint version, byte* address, uint addressLength,
        Cid* retryScid, Cid* originalDcid, ulong now);
    [LibraryImport(CryptoLibrary)]
    public static partial int ngtcp2_crypto_verify_retry_token(
        Cid* originalDcid, byte* token, nuint tokenLength, byte* secret, nuint secretLength, uint version,
        byte* address, uint addressLength, Cid* dcid, ulong timeout, ulong now);
    [LibraryImport(CryptoLibrary)]
    public static partial nint ngtcp2_crypto_write_retry(
        byte* dest, nuint destLength, uint version, Cid* dcid, Cid* scid, Cid* originalDcid, byte* token,
        nuint tokenLength);
    [LibraryImport(CryptoLibrary)]
    public static partial nint ngtcp2_crypto_write_connection_close(
        byte* dest, nuint destLength, uint version, Cid* dcid, Cid* scid, ulong code, byte* reason,
        nuint reasonLength);
}
