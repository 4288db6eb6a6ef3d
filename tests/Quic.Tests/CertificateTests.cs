using Runtara.Quic.Native;

namespace Runtara.Quic.Tests;

[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class CertificateTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("quic-cert-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task The_self_signed_certificate_is_kept_and_can_be_pinned_by_file()
    {
        var made = QuicCertificate.LoadOrCreateSelfSigned(_directory);
        Assert.Equal(made.Sha256, QuicCertificate.LoadOrCreateSelfSigned(_directory).Sha256);
        await using var server = await Loopback.StartAsync(configure: o => o with { Certificate = made });
        await using var client = await server.ConnectAsync(o => o with
        {
            Trust = QuicTrust.PinnedFile(Path.Combine(_directory, QuicCertificate.CertificateFile)),
        });
        Assert.Equal([7], await Loopback.CallAsync(client, [7]));
    }

    [Fact]
    public void Only_the_owner_can_read_the_key()
    {
        QuicCertificate.LoadOrCreateSelfSigned(_directory);
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite,
            File.GetUnixFileMode(Path.Combine(_directory, QuicCertificate.KeyFile)));
    }

    [Fact]
    public void A_certificate_about_to_end_is_made_anew()
    {
        var old = QuicCertificate.LoadOrCreateSelfSigned(_directory, new Years(-11));
        Assert.NotEqual(old.Sha256, QuicCertificate.LoadOrCreateSelfSigned(_directory).Sha256);
    }

    [Fact]
    public void Unreadable_files_are_an_error_and_stay()
    {
        var path = Path.Combine(_directory, QuicCertificate.CertificateFile);
        QuicCertificate.LoadOrCreateSelfSigned(_directory);
        File.WriteAllText(path, "not a certificate");
        Assert.Throws<QuicException>(() => QuicCertificate.LoadOrCreateSelfSigned(_directory));
        Assert.Equal("not a certificate", File.ReadAllText(path));
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        var missing = Path.Combine(_directory, "none.pem");
        var error = Assert.Throws<QuicException>(() => QuicCertificate.FromPemFiles(missing, missing));
        Assert.Contains(missing, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_library_names_the_package_to_install() => Assert.Contains(
        "apt-get install libngtcp2-crypto-gnutls8", NativeLoader.Explain("gone."), StringComparison.Ordinal);

    private sealed class Years(int years) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddYears(years);
    }
}
