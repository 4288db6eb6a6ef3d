using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Runtara.Quic;

/// <summary>A server's certificate chain and private key.</summary>
public sealed class QuicCertificate
{
    /// <summary>File names used by <see cref="LoadOrCreateSelfSigned"/>.</summary>
    public const string CertificateFile = "quic-cert.pem", KeyFile = "quic-key.pem";

    private const string Unfinished = ".new";

    /// <summary>All that <see cref="LoadOrCreateSelfSigned"/> may have in its directory, also for a moment.</summary>
    public static IReadOnlyList<string> FileNames { get; } =
        [CertificateFile, KeyFile, CertificateFile + Unfinished, KeyFile + Unfinished];

    private static readonly TimeSpan s_lifetime = TimeSpan.FromDays(3650), s_renewBefore = TimeSpan.FromDays(30);

    private QuicCertificate(string certificatePem, string keyPem, X509Certificate2 leaf)
    {
        CertificatePem = Encoding.ASCII.GetBytes(certificatePem);
        KeyPem = Encoding.ASCII.GetBytes(keyPem);
        Sha256 = Convert.ToHexString(SHA256.HashData(leaf.RawData));
        NotAfter = leaf.NotAfter.ToUniversalTime();
        TokenSecret = HKDF.DeriveKey(
            HashAlgorithmName.SHA256, PrivateKey(leaf), 32, info: "runtara quic token secret"u8.ToArray());
    }

    /// <summary>SHA-256 of the leaf's DER in hexadecimal: what a client pins with <see
    /// cref="QuicTrust.Pinned"/>.</summary>
    public string Sha256 { get; }

    /// <summary>End of validity of the leaf.</summary>
    public DateTimeOffset NotAfter { get; }

    internal byte[] CertificatePem { get; }

    internal byte[] KeyPem { get; }

    /// <summary>Key of retry and stateless-reset tokens. It depends on the private key alone, so a restarted server can
    /// reset its predecessor's connections, and clients notice in one round trip instead of after an idle timeout.
    /// </summary>
    internal byte[] TokenSecret { get; }

    /// <summary>Reads a chain (leaf first) and its unencrypted key (ECDSA or RSA).</summary>
    /// <exception cref="QuicException">A file is missing or unreadable, or key and certificate do not
    /// match.</exception>
    public static QuicCertificate FromPemFiles(string certPath, string keyPath)
    {
        try
        {
            var (certificate, key) = (File.ReadAllText(certPath), File.ReadAllText(keyPath));
            using var leaf = X509Certificate2.CreateFromPem(certificate, key);
            return new QuicCertificate(certificate, key, leaf);
        }
        catch (Exception e) when (e is IOException and not QuicException or UnauthorizedAccessException
            or CryptographicException or ArgumentException)
        {
            throw new QuicException($"The certificate {certPath} with key {keyPath} cannot be used: {e.Message}", 0, e);
        }
    }

    /// <summary>
    /// The self-signed certificate kept in a directory as quic-cert.pem and quic-key.pem (mode 0600): ECDSA P-256 for
    /// localhost, 127.0.0.1 and ::1, valid for ten years. It is created when either file is missing and created anew
    /// when it ends within 30 days; files that exist but cannot be read are an error, never overwritten.
    /// </summary>
    /// <exception cref="QuicException">The directory cannot be written, or its files are not usable.</exception>
    public static QuicCertificate LoadOrCreateSelfSigned(string directory, TimeProvider? time = null)
    {
        var now = (time ?? TimeProvider.System).GetUtcNow();
        var (certPath, keyPath) = (Path.Combine(directory, CertificateFile), Path.Combine(directory, KeyFile));
        if (File.Exists(certPath) && File.Exists(keyPath))
        {
            var found = FromPemFiles(certPath, keyPath);
            if (found.NotAfter - s_renewBefore > now)
                return found;
        }
        try
        {
            Directory.CreateDirectory(directory);
            var (certificate, key) = CreateSelfSigned(now);
            WriteFile(keyPath, key, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            WriteFile(certPath, certificate, UnixFileMode.UserRead | UnixFileMode.UserWrite
                | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new QuicException($"The certificate cannot be kept in {directory}: {e.Message}", 0, e);
        }
        return FromPemFiles(certPath, keyPath);
    }

    private static (string Certificate, string Key) CreateSelfSigned(DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        // rustls refuses a leaf that claims to be an authority.
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(
            new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], false));
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(IPAddress.Loopback);
        names.AddIpAddress(IPAddress.IPv6Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now + s_lifetime);
        return (certificate.ExportCertificatePem() + "\n", key.ExportPkcs8PrivateKeyPem() + "\n");
    }

    private static void WriteFile(string path, string text, UnixFileMode mode)
    {
        var temporary = path + Unfinished;
        File.Delete(temporary);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = mode;
        using (var file = new StreamWriter(temporary, Encoding.ASCII, options))
            file.Write(text);
        File.Move(temporary, path, overwrite: true);
    }

    private static byte[] PrivateKey(X509Certificate2 leaf)
    {
        using var ecdsa = leaf.GetECDsaPrivateKey();
        using var rsa = leaf.GetRSAPrivateKey();
        return ecdsa?.ExportPkcs8PrivateKey() ?? rsa?.ExportPkcs8PrivateKey()
            ?? throw new QuicException("The certificate's key is neither ECDSA nor RSA.");
    }
}
