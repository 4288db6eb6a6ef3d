using System.Net;
using System.Text;
using Runtara.Quic.Native;

namespace Runtara.Quic;

/// <summary>GnuTLS credentials of one role, shared by its connections.</summary>
internal sealed unsafe class TlsCredentials : IDisposable
{
    private const string Priority =
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:" +
        "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE";

    private readonly bool _server;
    private nint _credentials, _priority;

    public TlsCredentials(QuicCertificate? certificate)
    {
        _server = certificate is not null;
        nint credentials, priority;
        byte* error;
        GnuTls.Check(GnuTls.gnutls_certificate_allocate_credentials(&credentials), "TLS credentials");
        _credentials = credentials;
        try
        {
            if (certificate is not null)
                SetCertificate(certificate);
            GnuTls.Check(GnuTls.gnutls_priority_init(&priority, Priority, &error), "TLS priorities");
            _priority = priority;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public nint NewSession(IReadOnlyList<string> alpn, string? serverName, void* reference)
    {
        nint session;
        var flags = _server ? GnuTls.Server | GnuTls.NoAutoSendTicket : GnuTls.Client;
        GnuTls.Check(GnuTls.gnutls_init(&session, flags), "TLS session");
        try
        {
            GnuTls.Check(GnuTls.gnutls_priority_set(session, _priority), "TLS priorities");
            GnuTls.Check(
                GnuTls.gnutls_credentials_set(session, GnuTls.CredentialsCertificate, _credentials), "credentials");
            var configured = _server
                ? Ngtcp2.ngtcp2_crypto_gnutls_configure_server_session(session)
                : Ngtcp2.ngtcp2_crypto_gnutls_configure_client_session(session);
            if (configured != 0)
                throw new QuicException("GnuTLS refuses a QUIC session.");
            SetAlpn(session, alpn);
            SetServerName(session, serverName);
            GnuTls.gnutls_session_set_ptr(session, reference);
            return session;
        }
        catch
        {
            GnuTls.gnutls_deinit(session);
            throw;
        }
    }

    public void Dispose()
    {
        if (_priority != 0)
            GnuTls.gnutls_priority_deinit(_priority);
        if (_credentials != 0)
            GnuTls.gnutls_certificate_free_credentials(_credentials);
        (_priority, _credentials) = (0, 0);
    }

    private void SetCertificate(QuicCertificate certificate)
    {
        fixed (byte* chain = certificate.CertificatePem)
        fixed (byte* key = certificate.KeyPem)
        {
            var chainDatum = new GnuTls.Datum { Data = chain, Size = (uint)certificate.CertificatePem.Length };
            var keyDatum = new GnuTls.Datum { Data = key, Size = (uint)certificate.KeyPem.Length };
            GnuTls.Check(GnuTls.gnutls_certificate_set_x509_key_mem(
                _credentials, &chainDatum, &keyDatum, GnuTls.FormatPem), "The server's certificate is not usable");
        }
    }

    // GnuTLS applies MANDATORY only to a client that offers protocols: one that offers none is served, one that offers
    // none of ours gets alert 120. The tests hold both.
    private void SetAlpn(nint session, IReadOnlyList<string> alpn)
    {
        if (alpn.Count == 0)
            return;
        var flags = _server ? GnuTls.AlpnMandatory | GnuTls.AlpnServerPrecedence : 0;
        var text = Encoding.ASCII.GetBytes(string.Concat(alpn));
        var data = stackalloc GnuTls.Datum[alpn.Count];
        fixed (byte* start = text)
        {
            var offset = 0;
            for (var i = 0; i < alpn.Count; i++)
            {
                data[i] = new GnuTls.Datum { Data = start + offset, Size = (uint)alpn[i].Length };
                offset += alpn[i].Length;
            }
            GnuTls.Check(GnuTls.gnutls_alpn_set_protocols(session, data, (uint)alpn.Count, flags), "ALPN");
        }
    }

    private static void SetServerName(nint session, string? name)
    {
        if (string.IsNullOrEmpty(name) || IPAddress.TryParse(name, out _))
            return;
        var bytes = Encoding.ASCII.GetBytes(name);
        fixed (byte* p = bytes)
            GnuTls.Check(GnuTls.gnutls_server_name_set(session, GnuTls.NameDns, p, (nuint)bytes.Length), "server name");
    }
}
