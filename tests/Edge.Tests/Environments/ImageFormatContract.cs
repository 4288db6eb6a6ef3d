using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using Google.Protobuf;
using Runtara.Edge.Tests.Harness;
using Runtara.Protocol.Environments;
using ZstdSharp;

namespace Runtara.Edge.Tests.Environments;

/// <summary>What can be registered, and what its metadata may say.</summary>
public abstract class ImageFormatContract(EdgeHost edge)
{
    private const string Accepted =
        "accepted are a static Linux executable (ELF) and a root file system as .tar, .tar.gz or .tar.zst";

    [Theory]
    [InlineData("tar")]
    [InlineData("gzip")]
    [InlineData("zstd")]
    [InlineData("v7")]
    public async Task A_root_file_system_is_told_by_its_bytes(string kind)
    {
        var tar = Tar(kind == "v7" ? TarEntryFormat.V7 : TarEntryFormat.Pax);
        await AcceptedAsync(kind switch { "gzip" => Gzip(tar), "zstd" => Zstd(tar), _ => tar });
    }

    [Fact]
    public async Task A_static_executable_is_accepted_and_its_metadata_too() => await AcceptedAsync(
        Executables.Static(),
        """{"args":["a"],"env":{"K":"V"},"cwd":"/data","entrypoint":["/binary"],"team":["x"]}""");

    [Theory]
    [InlineData("random bytes that are nothing", "binary is of an unknown kind: ")]
    [InlineData("#!/bin/sh\nexit 0", "binary is a script, and a container has no interpreter for it: pack both")]
    [InlineData("PK\u0003\u0004 a zip", "binary is of an unknown kind: ")]
    public async Task What_cannot_run_is_refused_and_told_what_can(string content, string problem)
    {
        var error = await RefusedAsync(Encoding.UTF8.GetBytes(content));
        Assert.StartsWith(problem, error, StringComparison.Ordinal);
        Assert.EndsWith(Accepted, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Long_unknown_bytes_are_refused_too() =>
        Assert.EndsWith(Accepted, await RefusedAsync(new byte[99_000]), StringComparison.Ordinal);

    [Fact]
    public async Task Compressed_bytes_that_are_no_tar_are_refused()
    {
        var text = new byte[5000];
        Assert.StartsWith("binary is compressed with gzip, but is no tar", await RefusedAsync(Gzip(text)));
        Assert.StartsWith("binary is compressed with zstd, but is no tar", await RefusedAsync(Zstd(text)));
        Assert.StartsWith(
            "binary is compressed with gzip, but", await RefusedAsync([0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7]));
        Assert.StartsWith(
            "binary is compressed with zstd, but", await RefusedAsync([0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff]));
    }

    [Fact]
    public async Task A_dynamic_executable_is_refused_with_ways_out()
    {
        var error = await RefusedAsync(Executables.Dynamic("/lib64/ld-linux-x86-64.so.2"));
        Assert.StartsWith(
            "binary is dynamically linked: it needs /lib64/ld-linux-x86-64.so.2 and libraries", error,
            StringComparison.Ordinal);
        foreach (var way in (string[])["unknown-linux-musl", "-static", "CGO_ENABLED=0", "StaticExecutable", "tar"])
            Assert.Contains(way, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_dynamic_executables_of_this_machine_are_recognised() => Assert.StartsWith(
        "binary is dynamically linked", await RefusedAsync((await File.ReadAllBytesAsync("/bin/sh"))[..90_000]));

    [Theory]
    [InlineData(18, 8, "binary is an ELF file, but not for this machine: build it for Linux on ")]
    [InlineData(16, 1, "binary is an ELF file, but a library or an object file: link it to an executable")]
    [InlineData(54, 1, "binary is an ELF file, but its program headers are damaged or not at its beginning")]
    [InlineData(56, 999, "binary is an ELF file, but its program headers are damaged or not at its beginning")]
    public async Task An_executable_for_another_machine_or_a_damaged_one_is_refused(
        int at, short value, string problem) =>
        Assert.StartsWith(problem, await RefusedAsync(Executables.With(at, value)), StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"entrypoint":5}""", "metadata.entrypoint must be a list of texts")]
    [InlineData("""{"entrypoint":[]}""", "metadata.entrypoint must not be empty")]
    [InlineData("""{"entrypoint":"run"}""", "metadata.entrypoint must begin with an absolute path that has no '..'")]
    [InlineData("""{"entrypoint":["/a/../b"]}""",
        "metadata.entrypoint must begin with an absolute path that has no '..'")]
    [InlineData("""{"args":"x"}""", "metadata.args must be a list of texts")]
    [InlineData("""{"args":["x",1]}""", "metadata.args must be a list of texts")]
    [InlineData("""{"args":["\u0000"]}""", "metadata.args must not contain a NUL")]
    [InlineData("""{"args":["\ud800"]}""", "metadata has an escaped character that is half of a pair")]
    [InlineData("""{"env":["A=1"]}""", "metadata.env must be an object whose values are texts")]
    [InlineData("""{"env":{"A":1}}""", "metadata.env must be an object whose values are texts")]
    [InlineData("""{"env":{"A=B":"1"}}""",
        "metadata.env has the name 'A=B': a name is not empty and has no '='")]
    [InlineData("""{"env":{"RUNTARA_SOCKET":"x"}}""", "metadata.env must not set RUNTARA_SOCKET: the daemon sets it")]
    [InlineData("""{"cwd":"app"}""", "metadata.cwd must be an absolute path that has no '..'")]
    [InlineData("""{"cwd":"/app/.."}""", "metadata.cwd must be an absolute path that has no '..'")]
    [InlineData("""{"cwd":1}""", "metadata.cwd must be a text")]
    public async Task Metadata_that_cannot_be_followed_is_refused_with_field_and_rule(string metadata, string error) =>
        Assert.Equal(error, await RefusedAsync(Tar(TarEntryFormat.Pax), metadata));

    [Fact]
    public async Task Arguments_and_variables_are_bounded() => Assert.Equal(
        "metadata.entrypoint, args and env have 70007 characters, the limit is 65536",
        await RefusedAsync(Tar(TarEntryFormat.Pax), $$"""{"args":["{{new string('x', 70_000)}}"]}"""));

    [Fact]
    public async Task A_static_executable_has_no_other_entry_point() => Assert.Equal(
        "metadata.entrypoint is for a root file system: a static executable is /binary",
        await RefusedAsync(Executables.Static(), """{"entrypoint":"/app/run"}"""));

    [Theory]
    [InlineData(RunnerType.RunnerNative)]
    [InlineData(RunnerType.RunnerWasm)]
    public async Task What_no_runner_serves_is_taken_as_it_is(RunnerType type)
    {
        var response = await edge.Environment.CallAsync(new RpcRequest
        {
            RegisterImage = new()
            {
                TenantId = "formats", Name = edge.NewName(), RunnerType = type,
                Binary = ByteString.CopyFromUtf8("anything"), Metadata = ByteString.CopyFromUtf8("{\"cwd\":1}"),
            },
        });
        Assert.True(response!.RegisterImage.Success, response.ToString());
    }

    private async Task AcceptedAsync(byte[] binary, string metadata = "")
    {
        foreach (var response in await BothWaysAsync(binary, metadata))
            Assert.True(response.Success, response.Error);
    }

    private async Task<string> RefusedAsync(byte[] binary, string metadata = "")
    {
        var before = await CountAsync();
        var responses = await BothWaysAsync(binary, metadata);
        Assert.Equal(before, await CountAsync());
        return Assert.Single(responses.Select(r => r.Error).Distinct());
    }

    private async Task<uint> CountAsync() =>
        (await edge.Environment.CallAsync(new RpcRequest { ListImages = new() }))!.ListImages.TotalCount;

    private async Task<RegisterImageResponse[]> BothWaysAsync(byte[] binary, string metadata)
    {
        var (name, json) = (edge.NewName(), ByteString.CopyFromUtf8(metadata));
        var framed = new RpcRequest
        {
            RegisterImage = new()
            {
                TenantId = "formats", Name = name, Binary = ByteString.CopyFrom(binary), Metadata = json,
            },
        };
        var streamed = new RpcRequest
        {
            RegisterImageStream = new() { TenantId = "formats", Name = name, Metadata = json },
        };
        return [
            (await edge.Environment.CallAsync(framed))!.RegisterImage,
            (await edge.Environment.CallAsync(streamed, binary))!.RegisterImage,
        ];
    }

    private static byte[] Tar(TarEntryFormat format)
    {
        var tar = new MemoryStream();
        using (var writer = new TarWriter(tar, format, leaveOpen: true))
        {
            TarEntry entry = format == TarEntryFormat.V7
                ? new V7TarEntry(TarEntryType.V7RegularFile, "binary")
                : new PaxTarEntry(TarEntryType.RegularFile, "binary");
            entry.DataStream = new MemoryStream([1, 2, 3]);
            writer.WriteEntry(entry);
        }
        return tar.ToArray();
    }

    private static byte[] Gzip(byte[] bytes)
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
            gzip.Write(bytes);
        return packed.ToArray();
    }

    private static byte[] Zstd(byte[] bytes)
    {
        var packed = new MemoryStream();
        using (var zstd = new CompressionStream(packed, leaveOpen: true))
            zstd.Write(bytes);
        return packed.ToArray();
    }
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteImageFormatTests(EdgeHost edge) : ImageFormatContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresImageFormatTests(PostgresEdgeHost edge) : ImageFormatContract(edge);
