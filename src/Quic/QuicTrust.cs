using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Runtara.Quic;

/// <summary>
/// Which server certificate a client accepts. TLS has already proven that the server holds the certificate's key; this
/// decides whether the certificate is the right one.
/// </summary>
public sealed class QuicTrust
{
    private readonly Func<X509Certificate2, X509Certificate2Collection, string, string?> _refusal;

    private QuicTrust(Func<X509Certificate2, X509Certificate2Collection, string, string?> refusal) =>
        _refusal = refusal;

    /// <summary>Any certificate: the peer is not authenticated.</summary>
    public static QuicTrust AcceptAny { get; } = new((_, _, _) => null);

    /// <summary>A chain to one of the system's roots, and the server's name in the certificate.</summary>
    public static QuicTrust System { get; } = new(CheckSystem);

    /// <summary>Only the certificate whose DER has this SHA-256, in hexadecimal; colons are ignored.</summary>
    /// <exception cref="ArgumentException">Not 32 bytes of hexadecimal.</exception>
    public static QuicTrust Pinned(string sha256)
    {
        ArgumentNullException.ThrowIfNull(sha256);
        var hex = sha256.Replace(":", "", StringComparison.Ordinal);
        if (hex.Length != 64 || !hex.All(char.IsAsciiHexDigit))
            throw new ArgumentException("A pin is a certificate's SHA-256: 64 hexadecimal digits.", nameof(sha256));
        var pin = Convert.FromHexString(hex);
        return new((leaf, _, _) => CryptographicOperations.FixedTimeEquals(SHA256.HashData(leaf.RawData), pin)
            ? null
            : $"its SHA-256 is {Convert.ToHexString(SHA256.HashData(leaf.RawData))}, not the pinned one");
    }

    /// <summary>Only the certificates in this PEM file, read now.</summary>
    /// <exception cref="QuicException">The file cannot be read or holds no certificate.</exception>
    public static QuicTrust PinnedFile(string pemPath)
    {
        var pinned = new X509Certificate2Collection();
        try
        {
            pinned.ImportFromPemFile(pemPath);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new QuicException($"The pinned certificate {pemPath} cannot be read: {e.Message}", 0, e);
        }
        if (pinned.Count == 0)
            throw new QuicException($"The file {pemPath} holds no certificate.");
        return new((leaf, _, _) => pinned.Any(p => p.RawData.AsSpan().SequenceEqual(leaf.RawData))
            ? null
            : $"it is not in {pemPath}");
    }

    /// <summary>Whatever the function accepts; it runs on the thread pool.</summary>
    public static QuicTrust Custom(Func<X509Certificate2, bool> accept)
    {
        ArgumentNullException.ThrowIfNull(accept);
        return new((leaf, _, _) => accept(leaf) ? null : "the application does not accept it");
    }

    /// <summary>Why the chain (leaf first, DER) is refused; null when it is accepted.</summary>
    internal string? Refusal(IReadOnlyList<byte[]> chain, string serverName)
    {
        if (chain.Count == 0)
            return "the server sent none";
        using var leaf = X509CertificateLoader.LoadCertificate(chain[0]);
        var others = new X509Certificate2Collection();
        try
        {
            foreach (var der in chain.Skip(1))
                others.Add(X509CertificateLoader.LoadCertificate(der));
            return _refusal(leaf, others, serverName);
        }
        finally
        {
            foreach (var other in others)
                other.Dispose();
        }
    }

    private static string? CheckSystem(X509Certificate2 leaf, X509Certificate2Collection others, string serverName)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.ExtraStore.AddRange(others);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid("1.3.6.1.5.5.7.3.1"));
        if (!chain.Build(leaf))
            return string.Join("; ", chain.ChainStatus.Select(s => s.StatusInformation.Trim()));
        return leaf.MatchesHostname(serverName) ? null : $"it is not for {serverName}";
    }
}
