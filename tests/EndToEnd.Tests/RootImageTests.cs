using System.Formats.Tar;
using System.IO.Compression;
using CliWrap.Buffered;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol;
using Runtara.Protocol.Environments;
using Runtara.Runner.Tests;
using Runtara.Testing.Postgres;

namespace Runtara.EndToEnd.Tests;

/// <summary>A root file system from the command line to the container, and what damage to its copies does.</summary>
[Collection(PatientCollection.Name)]
public sealed class RootImageTests(ITestOutputHelper output) : StoryUnderFaults(output)
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly Lazy<byte[]> Program = new(() => StaticProgram.Compile("probe"));

    [Fact]
    public Task A_packed_root_is_registered_by_the_command_line_and_runs_on_SQLite() => RunAsync(
        null, async daemon =>
        {
            var blob = Assert.Single(
                Directory.GetFiles(Path.Combine(daemon.DataDirectory, "images", "blobs")));
            await File.WriteAllTextAsync(blob, "damaged");
        });

    [Fact]
    public async Task A_packed_root_is_registered_by_the_command_line_and_runs_on_PostgreSQL()
    {
        await using var postgres = await PostgresServer.StartAsync();
        var url = await postgres.CreateDatabaseAsync();
        var database = new Uri(url).AbsolutePath.TrimStart('/');
        await RunAsync(url, _ => postgres.ExecuteAsync(database, @"UPDATE image_chunk SET bytes = '\x00'"));
    }

    private async Task RunAsync(string? databaseUrl, Func<DaemonProcess, Task> damageStore)
    {
        await using var daemon = NewDaemon(databaseUrl, "instances.backoff-min=10ms");
        await daemon.StartAsync();
        var image = await RegisterAsync(daemon);
        await CompletesAsync(daemon, image, "first");

        // Damaged while no daemon runs: the copy is fetched anew.
        await daemon.KillAsync();
        var program = Assert.Single(Directory.GetFiles(
            Path.Combine(daemon.DataDirectory, "images"), "run", SearchOption.AllDirectories));
        await File.WriteAllTextAsync(program, "damaged");
        await daemon.StartAsync();
        await CompletesAsync(daemon, image, "second");

        // Damaged in the store too: nothing of it runs.
        await damageStore(daemon);
        await File.WriteAllTextAsync(program, "damaged again");
        await daemon.Client.StartAsync(Tenant, image, "third", "{}");
        var failed = await daemon.Client.EndAsync("third", Minute);
        Assert.Equal(InstanceStatus.StatusFailed, failed.Status);
        Assert.Contains("is damaged in the store: its bytes have SHA-256", failed.Error, StringComparison.Ordinal);
    }

    private static async Task CompletesAsync(DaemonProcess daemon, string image, string instance)
    {
        Assert.True((await daemon.Client.StartAsync(Tenant, image, instance, "{}")).Success);
        var ended = await daemon.Client.EndAsync(instance, Minute);
        Assert.Equal((InstanceStatus.StatusCompleted, ""), (ended.Status, ended.Error));
        Assert.Equal("""{"packed":true}""", ended.Output.ToStringUtf8());
    }

    private static async Task<string> RegisterAsync(DaemonProcess daemon)
    {
        var file = Path.Combine(daemon.DataDirectory, "root.tar.gz");
        await File.WriteAllBytesAsync(file, Pack());
        const string metadata =
            """
            {"entrypoint":["/app/run"],"cwd":"/app",
             "env":{"MODE":"output","TEXT":"{\"status\":\"completed\",\"result\":{\"packed\":true}}"}}
            """;
        var register = CliWrap.Cli.Wrap("dotnet")
            .WithArguments(
            [
                Repository.CommandLine, "--server", daemon.Environment.ToString(), "--insecure", "register",
                "--tenant", Tenant, "--name", "packed", "--binary", file, "--metadata", metadata,
            ])
            .WithValidation(CliWrap.CommandResultValidation.None);
        // The command line uploads once, and says whether it may be asked to do so again.
        var registered = await Eventually.IsAsync(
            async () => await register.ExecuteBufferedAsync(),
            done => !done.StandardError.Contains(ErrorCodes.SafeToRepeat, StringComparison.Ordinal), Minute,
            "the upload is done or refused");
        Assert.True(registered.ExitCode == 0, registered.StandardError);
        return registered.StandardOutput.Trim();
    }

    private static byte[] Pack()
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
        using (var writer = new TarWriter(gzip))
        {
            writer.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, "./app/run")
            {
                DataStream = new MemoryStream(Program.Value),
                Mode = UnixFileMode.UserRead | UnixFileMode.UserExecute,
            });
        }
        return packed.ToArray();
    }
}
