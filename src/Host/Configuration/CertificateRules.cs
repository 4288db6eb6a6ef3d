using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Runtara.Quic;

namespace Runtara.Daemon.Configuration;

/// <summary>What must hold of the certificate's files, found out before anything else is touched.</summary>
internal static class CertificateRules
{
    private const string Certificate = "runtara.quic.certificate", Key = "runtara.quic.certificate-key";

    public static IEnumerable<string> Check(string certificateFile, string keyFile)
    {
        var (certificate, key) = (Read(certificateFile), Read(keyFile));
        var wrong = new List<string>();
        if (certificate.Problem is { } unread)
            wrong.Add($"{Certificate}: {unread}");
        else if (!Accepts(() => X509Certificate2.CreateFromPem(certificate.Text).Dispose()))
        {
            wrong.Add(
                $"{Certificate}: '{certificateFile}' does not parse: it must be PEM, the daemon's certificate first "
                + "and then those that lead to its authority");
        }
        if (key.Problem is { } unreadKey)
            wrong.Add($"{Key}: {unreadKey}");
        else if (!IsKey(key.Text))
        {
            wrong.Add(
                $"{Key}: '{keyFile}' does not parse: it must be PEM, an ECDSA or RSA private key without a password");
        }
        return wrong.Count > 0 ? wrong : CheckPair(certificateFile, keyFile);
    }

    private static IEnumerable<string> CheckPair(string certificateFile, string keyFile)
    {
        var problem = "";
        try
        {
            QuicCertificate.FromPemFiles(certificateFile, keyFile);
        }
        catch (QuicException e)
        {
            problem = $"{Key}: '{keyFile}' is not the key of the certificate '{certificateFile}': {e.Message}";
        }
        return problem.Length > 0 ? [problem] : [];
    }

    private static bool IsKey(string pem) =>
        Accepts(() =>
        {
            using var key = ECDsa.Create();
            key.ImportFromPem(pem);
        })
        || Accepts(() =>
        {
            using var key = RSA.Create();
            key.ImportFromPem(pem);
        });

    private static bool Accepts(Action parse)
    {
        try
        {
            parse();
            return true;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            return false;
        }
    }

    private static (string Text, string? Problem) Read(string file)
    {
        try
        {
            return (File.ReadAllText(file), null);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return ("", $"there is no file '{file}'");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ("", $"'{file}' cannot be read: {e.Message}");
        }
    }
}
