using System.Security.Cryptography;

namespace Runtara.Persistence.Images;

/// <summary>Hashes and counts what passes.</summary>
internal sealed class Digest : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    public long SizeBytes { get; private set; }

    public string Sha256 => Convert.ToHexStringLower(_hash.GetCurrentHash());

    public void Add(ReadOnlySpan<byte> bytes)
    {
        _hash.AppendData(bytes);
        SizeBytes += bytes.Length;
    }

    public void Dispose() => _hash.Dispose();
}
