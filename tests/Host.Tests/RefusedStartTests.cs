using System.Diagnostics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Data.Sqlite;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Quic;
using Runtara.Testing.Postgres;
using static Runtara.Host.Tests.RealDaemon;

namespace Runtara.Host.Tests;

/// <summary>
/// What a start cannot go on with: one clear line, an exit code that says so, no stack trace, and nothing changed.
/// </summary>
public sealed class RefusedStartTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("runtara-refused-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    private string DataDirectory => Path.Combine(_directory, "data");

    [Fact]
    public async Task A_read_only_data_directory_is_named_and_what_is_in_it_is_there_once_it_is_writable()
    {
        await ServeOnceAsync(DataDirectory);
        var before = Listing(DataDirectory);
        var certificate = await File.ReadAllTextAsync(Path.Combine(DataDirectory, QuicCertificate.CertificateFile));
        using (var view = Mounted.ReadOnly(DataDirectory))
        {
            await RefusedAsync(
                1,
                $"runtarad: cannot run: the data directory (runtara.data-directory): '{view.Path}' cannot be written "
                    + "in (Read-only file system): mount it writable",
                StartOn(view.Path));
            var below = Path.Combine(view.Path, "below");
            await RefusedAsync(1, $"'{view.Path}' cannot be written in (Read-only file system)", StartOn(below));
            await RefusedAsync(
                2, $"runtara.data-directory: '{view.Path}' cannot be written in (Read-only file system)",
                Start(
                    "--check", "--set", $"data-directory={view.Path}", "--set", "runner.network-mode=none"));
        }
        Assert.Equal(before, Listing(DataDirectory));
        await ServeOnceAsync(DataDirectory);
        Assert.Equal(
            certificate, await File.ReadAllTextAsync(Path.Combine(DataDirectory, QuicCertificate.CertificateFile)));
    }

    [Fact]
    public async Task A_data_directory_that_is_a_file_is_named()
    {
        await File.WriteAllTextAsync(DataDirectory, "no directory");
        await RefusedAsync(1, $"'{DataDirectory}' is a file and not a directory", StartOn(DataDirectory));
    }

    [Theory]
    [InlineData("rubbish", "good", "runtara.quic.certificate: '{0}' does not parse: it must be PEM")]
    [InlineData("none", "good", "runtara.quic.certificate: there is no file '{0}'")]
    [InlineData("directory", "good", "runtara.quic.certificate: '{0}' cannot be read")]
    [InlineData("good", "rubbish", "runtara.quic.certificate-key: '{1}' does not parse: it must be PEM, an ECDSA or")]
    [InlineData("good", "none", "runtara.quic.certificate-key: there is no file '{1}'")]
    [InlineData("good", "locked", "runtara.quic.certificate-key: '{1}' does not parse")]
    [InlineData("good", "other", "runtara.quic.certificate-key: '{1}' is not the key of the certificate '{0}'")]
    public async Task A_certificate_that_cannot_be_used_is_refused_before_anything_is_touched(
        string certificate, string key, string expected)
    {
        MakeCertificates();
        var (certificateFile, keyFile) = (
            Path.Combine(_directory, $"{certificate}-cert.pem"), Path.Combine(_directory, $"{key}-key.pem"));
        var problem = string.Format(null, expected, certificateFile, keyFile);
        string[] settings =
            [$"quic.certificate={certificateFile}", $"quic.certificate-key={keyFile}"];
        await RefusedAsync(2, problem, StartOn(DataDirectory, settings));
        Assert.False(Path.Exists(DataDirectory));
    }

    [Fact]
    public async Task A_check_names_everything_that_is_wrong_with_both_files()
    {
        MakeCertificates();
        var (code, _, error) = await EndAsync(Start(
            "--check", "--set", $"quic.certificate={_directory}/rubbish-cert.pem", "--set",
            $"quic.certificate-key={_directory}/none-key.pem"));
        Assert.Equal(2, code);
        Assert.Contains("runtara.quic.certificate: '", error);
        Assert.Contains("runtara.quic.certificate-key: there is no file", error);
    }

    [Fact]
    public async Task An_expired_certificate_is_served_with_a_warning_because_clients_may_have_pinned_it()
    {
        WriteCertificate("old", Now.AddDays(-2), Now.AddDays(-1));
        var log = await ServeOnceAsync(
            DataDirectory, $"quic.certificate={_directory}/old-cert.pem",
            $"quic.certificate-key={_directory}/old-key.pem");
        Assert.Contains($"the certificate '{_directory}/old-cert.pem' (runtara.quic.certificate) has expired", log);
    }

    [Fact]
    public async Task A_damaged_certificate_of_its_own_is_never_replaced_in_silence()
    {
        await ServeOnceAsync(DataDirectory);
        var path = Path.Combine(DataDirectory, QuicCertificate.CertificateFile);
        await File.WriteAllTextAsync(path, "rubbish");
        await RefusedAsync(1, path, StartOn(DataDirectory), "remove both files: the daemon then makes new ones");
        Assert.Equal("rubbish", await File.ReadAllTextAsync(path));
    }

    [Theory]
    [InlineData("SQLite")]
    [InlineData("PostgreSQL")]
    public async Task A_database_of_a_newer_version_is_named(string database)
    {
        const string newer = "INSERT INTO schema_version VALUES (99, 0)";
        const string problem = "runtarad: cannot run: The database has schema version 99, this program knows";
        if (database == "SQLite")
        {
            await ServeOnceAsync(DataDirectory);
            await using (var file = new SqliteConnection($"Data Source={DataDirectory}/runtara.db;Pooling=False"))
            {
                await file.OpenAsync();
                await using var insert = file.CreateCommand();
                insert.CommandText = newer;
                await insert.ExecuteNonQueryAsync();
            }
            await RefusedAsync(1, problem, StartOn(DataDirectory), "use a newer program");
            return;
        }
        await using var server = await PostgresServer.StartAsync();
        var url = await server.CreateDatabaseAsync();
        await ServeOnceAsync(DataDirectory, $"database-url={url}");
        await server.ExecuteAsync("test1", newer);
        await RefusedAsync(1, problem, StartOn(DataDirectory, $"database-url={url}"), "use a newer program");
    }

    [Theory]
    [InlineData("192.0.2.1:8003")]
    [InlineData("[2001:db8::1]:8003")]
    public async Task A_health_address_of_another_machine_is_named_before_the_database_is_made(string address)
    {
        await RefusedAsync(
            1, $"runtarad: cannot run: the address {address} (runtara.health.listen) cannot be listened on: ",
            StartOn(DataDirectory, $"health.listen={address}"));
        Assert.False(File.Exists(Path.Combine(DataDirectory, "runtara.db")));
    }

    [Theory]
    [InlineData("environment")]
    [InlineData("instance")]
    public async Task A_door_s_address_of_another_machine_is_named(string door) => await RefusedAsync(
        1, "192.0.2.1:8003", StartOn(DataDirectory, $"{door}.listen=192.0.2.1:8003"), "runtarad: cannot run: ");

    [Fact]
    public async Task What_nobody_foresaw_is_one_line_too_and_a_stack_only_for_who_asks_for_it()
    {
        const string setting = "akka.scheduler.implementation=Nothing.Of, The.Kind";
        await RefusedAsync(1, "runtarad: cannot run: ", StartWith(setting), "(log-level=debug shows where)");
        var (_, _, error) = await EndAsync(StartWith(setting, "log-level=debug"));
        Assert.Contains("   at ", error);

        Process StartWith(params string[] settings) => StartOn(DataDirectory, settings);
    }

    [Fact]
    public async Task A_database_that_another_process_holds_is_waited_for_and_then_named()
    {
        await ServeOnceAsync(DataDirectory);
        var file = Path.Combine(DataDirectory, "runtara.db");
        await using (var other = new SqliteConnection($"Data Source={file};Pooling=False"))
        {
            await other.OpenAsync();
            await using var hold = other.CreateCommand();
            hold.CommandText = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE";
            await hold.ExecuteNonQueryAsync();
            var clock = Stopwatch.StartNew();
            await RefusedAsync(
                1,
                $"runtarad: cannot run: Cannot open the database sqlite:{file}: another process holds it "
                    + "(SQLite Error 5: 'database is locked')",
                StartOn(DataDirectory, "database.reconnect-timeout=2s"), "fuser");
            Assert.InRange(clock.Elapsed, TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(20));
        }
        await ServeOnceAsync(DataDirectory);
    }

    [Fact]
    public async Task A_full_disk_is_waited_for_and_then_named()
    {
        using var disk = Mounted.SmallDisk(4 << 20);
        var data = Path.Combine(disk.Path, "data");
        disk.Fill();
        await RefusedAsync(1, data, StartOn(data, "database.reconnect-timeout=2s"), "the disk is full", "make room");
        disk.Free();
        await ServeOnceAsync(data);
    }

    [Fact]
    public async Task A_disk_without_inodes_is_named_before_anything_is_made()
    {
        using var disk = Mounted.SmallDisk(4 << 20, inodes: 100);
        var data = Path.Combine(disk.Path, "data");
        disk.FillInodes();
        await RefusedAsync(
            1,
            "runtarad: cannot run: the data directory (runtara.data-directory) cannot be used: no inodes are free; "
                + $"remove files from the disk of '{disk.Path}'",
            StartOn(data));
        disk.Free();
        await ServeOnceAsync(data);
    }

    // Its log is folded into the file at a clean stop, and has to be made anew.
    [Theory]
    [InlineData("bytes", "the disk is full (SQLite Error ", "make room on the disk of ")]
    [InlineData("inodes", "no inodes are free (SQLite Error ", "remove files from the disk of ")]
    public async Task A_SQLite_file_that_was_closed_needs_room_to_be_opened_and_is_whole_when_there_is_some(
        string what, string problem, string remedy)
    {
        using var disk = Mounted.SmallDisk(8 << 20, inodes: 1000);
        var data = Path.Combine(disk.Path, "data");
        var file = Path.Combine(data, "runtara.db");
        await ServeOnceAsync(data, Terminate);
        var before = await File.ReadAllBytesAsync(file);
        if (what == "inodes")
            disk.FillInodes();
        else
            disk.Fill();
        await RefusedAsync(
            1, $"runtarad: cannot run: Cannot open the database sqlite:{file}: {problem}",
            StartOn(data, "database.reconnect-timeout=1s"), $"{remedy}'{file}'");
        Assert.Equal(before, await File.ReadAllBytesAsync(file));
        disk.Free();
        await ServeOnceAsync(data);
    }

    private static async Task RefusedAsync(int exitCode, string text, Process process, params string[] also)
    {
        using (process)
        {
            var (code, _, error) = await EndAsync(process);
            Assert.True(code == exitCode, $"exit code {code}: {error}");
            Assert.All((string[])[text, .. also], part => Assert.Contains(part, error));
            Assert.DoesNotContain("   at ", error);
            Assert.StartsWith("runtarad: ", error.TrimEnd('\n').Split('\n')[exitCode == 1 ? ^1 : 0]);
        }
    }

    private static string Listing(string directory) => string.Join(
        '\n',
        Directory.GetFileSystemEntries(directory, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal));

    private void MakeCertificates()
    {
        WriteCertificate("good", Now.AddDays(-1), Now.AddDays(1));
        WriteCertificate("other", Now.AddDays(-1), Now.AddDays(1));
        File.WriteAllText(Path.Combine(_directory, "rubbish-cert.pem"), "rubbish");
        File.WriteAllText(Path.Combine(_directory, "rubbish-key.pem"), "rubbish");
        Directory.CreateDirectory(Path.Combine(_directory, "directory-cert.pem"));
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        File.WriteAllText(
            Path.Combine(_directory, "locked-key.pem"),
            key.ExportEncryptedPkcs8PrivateKeyPem(
                "secret", new PbeParameters(PbeEncryptionAlgorithm.Aes128Cbc, HashAlgorithmName.SHA256, 1000)));
    }

    private void WriteCertificate(string name, DateTimeOffset from, DateTimeOffset to)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256)
            .CreateSelfSigned(from, to);
        File.WriteAllText(Path.Combine(_directory, $"{name}-cert.pem"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(_directory, $"{name}-key.pem"), key.ExportPkcs8PrivateKeyPem());
    }
}
