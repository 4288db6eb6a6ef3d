using System.IO.Pipelines;
using System.Security.Cryptography;
using Google.Protobuf;
using Runtara.Edge.Tests.Harness;
using Runtara.Persistence;
using Runtara.Protocol;
using Runtara.Protocol.Environments;

namespace Runtara.Edge.Tests.Environments;

/// <summary>The image requests, and that an upload which fails leaves nothing.</summary>
public abstract class ImageContract(EdgeHost edge)
{
    protected EdgeHost Edge => edge;

    protected string DirectoryPath => edge.DirectoryPath;

    private async Task<RpcResponse> CallAsync(RpcRequest request, ReadOnlyMemory<byte> after = default) =>
        (await edge.Environment.CallAsync(request, after))!;

    private Task<RegisterImageResponse> RegisterAsync(string tenant, string name, int bytes = 200) =>
        RegisterAsync(tenant, name, bytes == 0 ? [] : Executables.OfSize(bytes));

    private async Task<RegisterImageResponse> RegisterAsync(
        string tenant, string name, byte[] binary, string metadata = "") =>
        (await CallAsync(new RpcRequest
        {
            RegisterImage = new()
            {
                TenantId = tenant, Name = name, Binary = ByteString.CopyFrom(binary),
                Metadata = ByteString.CopyFromUtf8(metadata),
            },
        })).RegisterImage;

    private async Task<RegisterImageResponse> UploadAsync(RegisterImageStreamStart start, byte[] bytes) =>
        (await CallAsync(new RpcRequest { RegisterImageStream = start }, bytes)).RegisterImage;

    /// <summary>What is kept of images and uploads.</summary>
    protected abstract Task<string> KeptAsync();

    private async Task<uint> CountAsync(string tenant) =>
        (await CallAsync(new RpcRequest { ListImages = new() { TenantId = tenant } })).ListImages.TotalCount;

    [Fact]
    public async Task An_image_in_one_frame_is_registered_and_shown()
    {
        var response = await CallAsync(new RpcRequest
        {
            RegisterImage = new()
            {
                TenantId = "shown",
                Name = "org/flow@1 +x",
                Description = "a flow",
                Binary = ByteString.CopyFrom(Executables.Static("program")),
                RunnerType = (RunnerType)77,
                Metadata = ByteString.CopyFromUtf8("{no json"),
            },
        });
        Assert.True(response.RegisterImage.Success, response.ToString());
        var image = (await CallAsync(new RpcRequest
        {
            GetImage = new() { ImageId = response.RegisterImage.ImageId, TenantId = "shown" },
        })).GetImage;
        Assert.True(image.Found);
        Assert.Equal(("org/flow@1 +x", "a flow", RunnerType.RunnerOci, "shown"),
            (image.Image.Name, image.Image.Description, image.Image.RunnerType, image.Image.TenantId));
    }

    [Theory]
    [InlineData("", "n", "tenant_id is required")]
    [InlineData("t", "", "name is required")]
    [InlineData("a/b", "n", "tenant_id may have only A-Z a-z 0-9 . _ : -, not '/'")]
    [InlineData("..", "n", "tenant_id must not be '..'")]
    [InlineData("t", "a\\b", "name may have only A-Z a-z 0-9 . _ : - / @ + and space, not '\\'")]
    public async Task A_bad_tenant_or_name_is_refused_with_field_and_rule(string tenant, string name, string error)
    {
        var framed = await RegisterAsync(tenant, name);
        Assert.Equal((false, error, ""), (framed.Success, framed.Error, framed.ImageId));
        var streamed = await UploadAsync(new() { TenantId = tenant, Name = name }, [1, 2, 3]);
        Assert.Equal((false, error), (streamed.Success, streamed.Error));
    }

    [Fact]
    public async Task A_name_has_at_most_255_characters() => Assert.Equal(
        "name must have at most 255 characters, not 256", (await RegisterAsync("t", new string('n', 256))).Error);

    [Fact]
    public async Task A_description_has_a_limit()
    {
        var description = new string('d', 65_537);
        const string Error = "description has 65537 characters, the limit is 65536 (edge.description-length-max)";
        var inFrame = await CallAsync(new RpcRequest
        {
            RegisterImage = new()
            {
                TenantId = "t", Name = "n", Description = description, Binary = ByteString.CopyFrom(1),
            },
        });
        Assert.Equal(Error, inFrame.RegisterImage.Error);
        Assert.Equal(Error, (await UploadAsync(new() { TenantId = "t", Name = "n", Description = description }, [1]))
            .Error);
    }

    [Fact]
    public async Task An_image_needs_bytes()
    {
        Assert.Equal("binary is required", (await RegisterAsync("t", "n", bytes: 0)).Error);
        Assert.Equal("binary is required", (await UploadAsync(new() { TenantId = "t", Name = "n" }, [])).Error);
    }

    [Fact]
    public async Task Too_large_an_image_is_refused_with_the_limit()
    {
        var before = await KeptAsync();
        Assert.Contains(
            "the limit is 3000000 (images.max-bytes)", (await RegisterAsync("large", "n", 3_000_001)).Error);
        foreach (var announced in (ulong[])[0, 3_000_001, ulong.MaxValue])
        {
            var start = new RegisterImageStreamStart { TenantId = "large", Name = "n", BinarySize = announced };
            Assert.Contains(
                "the limit is 3000000 (images.max-bytes)",
                (await UploadAsync(start, Executables.OfSize(3_000_001))).Error);
        }
        Assert.Equal(0u, await CountAsync("large"));
        Assert.Equal(before, await KeptAsync());
        Assert.True((await RegisterAsync("large", "n", 3_000_000)).Success);
    }

    [Fact]
    public async Task Too_large_metadata_is_refused_with_the_limit()
    {
        var metadata = $"[{new string(' ', edge.Options.MetadataBytesMax - 1)}]";
        var error = $"metadata has {metadata.Length} bytes, the limit is 1100000 (images.metadata-bytes-max)";
        Assert.Equal(error, (await RegisterAsync("wordy", "n", Executables.OfSize(200), metadata)).Error);
        var streamed = await UploadAsync(
            new() { TenantId = "wordy", Name = "n", Metadata = ByteString.CopyFromUtf8(metadata) }, [1]);
        Assert.Equal(error, streamed.Error);
        var allowed = await RegisterAsync("wordy", "n", Executables.OfSize(200), metadata.Remove(1, 1));
        Assert.True(allowed.Success, allowed.Error);
        Assert.Equal(1u, await CountAsync("wordy"));
    }

    [Fact]
    public async Task An_upload_is_checked_by_digest_and_size()
    {
        var before = await KeptAsync();
        var bytes = Executables.Static(RandomNumberGenerator.GetBytes(90_000 - 120));
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(bytes));
        var wrong = new string('0', 64);
        var start = new RegisterImageStreamStart { TenantId = "upload", Name = "n", Sha256 = wrong,
            BinarySize = 90_000 };
        Assert.Equal($"Checksum mismatch: expected {wrong}, got {sha256}", (await UploadAsync(start, bytes)).Error);
        start.Sha256 = sha256;
        start.BinarySize = 89_999;
        Assert.Equal("Size mismatch: expected 89999, got 90000", (await UploadAsync(start, bytes)).Error);
        Assert.Equal(0u, await CountAsync("upload"));
        Assert.Equal(before, await KeptAsync());
        start.BinarySize = 90_000;
        var registered = await UploadAsync(start, bytes);
        Assert.True(registered.Success, registered.Error);
        Assert.Equal(1u, await CountAsync("upload"));
    }

    [Fact]
    public async Task An_upload_that_is_reset_leaves_nothing()
    {
        var before = await KeptAsync();
        var stream = await edge.Environment.OpenAsync();
        FrameWriter.Write(stream.Output, FrameType.Request, new RpcRequest
        {
            RegisterImageStream = new() { TenantId = "reset", Name = "n", BinarySize = 2_500_000 },
        });
        await stream.Output.WriteAsync(Executables.OfSize(2_000_000));
        await Eventually.IsAsync(KeptAsync, kept => kept != before);
        stream.Abort(7);
        await Eventually.IsAsync(KeptAsync, kept => kept == before);
        Assert.Equal(0u, await CountAsync("reset"));
    }

    [Fact]
    public async Task An_upload_that_stalls_is_refused()
    {
        var before = await KeptAsync();
        await using var stream = await edge.Environment.OpenAsync();
        FrameWriter.Write(stream.Output, FrameType.Request, new RpcRequest
        {
            RegisterImageStream = new() { TenantId = "stall", Name = "n" },
        });
        await stream.Output.WriteAsync(Executables.OfSize(2_000_000));
        var response = await edge.Environment.ReadAsync(stream);
        Assert.Equal("the upload stalled: no byte for 3 s", response!.RegisterImage.Error);
        await Eventually.IsAsync(KeptAsync, kept => kept == before);
    }

    [Fact]
    public async Task The_image_of_another_tenant_looks_missing()
    {
        var id = (await RegisterAsync("owner", "n")).ImageId;
        var foreign = await CallAsync(new RpcRequest { GetImage = new() { ImageId = id, TenantId = "thief" } });
        var missing = await CallAsync(new RpcRequest { GetImage = new() { ImageId = "no-such", TenantId = "thief" } });
        Assert.Equal(missing, foreign);
        Assert.False(foreign.GetImage.Found);
        var deletion = await CallAsync(new RpcRequest { DeleteImage = new() { ImageId = id, TenantId = "thief" } });
        Assert.Equal((false, $"Image '{id}' not found"), (deletion.DeleteImage.Success, deletion.DeleteImage.Error));
        var nothing = await CallAsync(
            new RpcRequest { DeleteImage = new() { ImageId = "no-such", TenantId = "thief" } });
        Assert.Equal(nothing.ToString().Replace("no-such", id), deletion.ToString());
        Assert.Equal(1u, await CountAsync("owner"));
        Assert.Equal(0u, await CountAsync("thief"));
        var own = await CallAsync(new RpcRequest { GetImage = new() { ImageId = id, TenantId = "owner" } });
        Assert.True(own.GetImage.Found);
        own = await CallAsync(new RpcRequest { DeleteImage = new() { ImageId = id, TenantId = "owner" } });
        Assert.True(own.DeleteImage.Success);
    }

    [Fact]
    public async Task A_name_is_registered_again_although_an_instance_uses_its_image()
    {
        var name = edge.NewName("renewed");
        var old = await edge.RegisterImageAsync(EdgeHost.Tenant, name);
        var user = edge.NewName("user");
        await StartAsync(old, user);
        var renewed = await edge.RegisterImageAsync(EdgeHost.Tenant, name);
        Assert.NotEqual(old, renewed);
        var status = await CallAsync(new RpcRequest { GetInstanceStatus = new() { InstanceId = user } });
        Assert.Equal((old, name), (status.GetInstanceStatus.ImageId, status.GetInstanceStatus.ImageName));
        await StartAsync(old, edge.NewName("user"));
        await StartAsync(renewed, edge.NewName("user"));
    }

    private async Task StartAsync(string image, string instance)
    {
        var started = await CallAsync(new RpcRequest
        {
            StartInstance = new() { ImageId = image, TenantId = EdgeHost.Tenant, InstanceId = instance },
        });
        Assert.True(started.StartInstance.Success, started.StartInstance.Error);
        await edge.LaunchedAsync(instance, 1);
    }

    [Fact]
    public async Task An_image_id_is_required()
    {
        var got = (await CallAsync(new RpcRequest { GetImage = new() })).Error;
        Assert.Equal(("GET_IMAGE_ERROR", "Invalid request: image_id is required"), (got.Code, got.Message));
        var deleted = (await CallAsync(new RpcRequest { DeleteImage = new() })).Error;
        Assert.Equal(("DELETE_IMAGE_ERROR", "Invalid request: image_id is required"), (deleted.Code, deleted.Message));
    }

    [Fact]
    public async Task An_image_in_use_is_not_deleted()
    {
        var id = await edge.RegisterImageAsync(EdgeHost.Tenant, edge.NewName("used"));
        await CallAsync(new RpcRequest
        {
            StartInstance = new() { ImageId = id, TenantId = EdgeHost.Tenant, InstanceId = edge.NewName("user") },
        });
        var delete = new RpcRequest { DeleteImage = new() { ImageId = id, TenantId = EdgeHost.Tenant } };
        Assert.Equal($"Image '{id}' is in use by 1 instances", (await CallAsync(delete)).DeleteImage.Error);
        var idle = await edge.RegisterImageAsync(EdgeHost.Tenant, edge.NewName("idle"));
        delete.DeleteImage.ImageId = idle;
        Assert.True((await CallAsync(delete)).DeleteImage.Success);
        Assert.Equal($"Image '{idle}' not found", (await CallAsync(delete)).DeleteImage.Error);
    }

    [Fact]
    public async Task Lists_have_pages_and_a_true_total()
    {
        for (var i = 0; i < 3; i++)
            await RegisterAsync("pages", $"n{i}");
        var page = (await CallAsync(new RpcRequest
        {
            ListImages = new() { TenantId = "pages", Limit = 2, Offset = 1 },
        })).ListImages;
        Assert.Equal((2, 3u), (page.Images.Count, page.TotalCount));
        Assert.Equal(["n1", "n0"], page.Images.Select(i => i.Name));
        Assert.Equal(3, (await CallAsync(new RpcRequest
        {
            ListImages = new() { TenantId = "pages", Limit = uint.MaxValue },
        })).ListImages.Images.Count);
    }
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteImageTests(EdgeHost edge) : ImageContract(edge)
{
    protected override Task<string> KeptAsync() => Task.FromResult(string.Join(
        '\n',
        Directory.GetFiles(DirectoryPath, "*", SearchOption.AllDirectories)
            .Where(f => !Path.GetFileName(f).StartsWith("store.db", StringComparison.Ordinal)).Order()));

    // PostgreSQL keeps images in its tables.
    [Theory]
    [InlineData("blobs", true)]
    [InlineData("uploads", false)]
    public async Task A_disk_that_fails_at_the_end_or_the_beginning_of_an_upload_is_named(string broken, bool atEnd)
    {
        var directory = Path.Combine(DirectoryPath, Edge.NewName("disk"));
        await using var store = await Store.OpenAsync(
            new StoreOptions { DatabaseUrl = await Edge.NewDatabaseAsync(), DataDirectory = directory }, default);
        var requests = Edge.NewEnvironmentRequests(Edge.Gate, Edge.Options, store);
        var bytes = new Pipe();
        await bytes.Writer.WriteAsync(Executables.Static());
        var images = Path.Combine(directory, "images");
        if (!atEnd)
            Break();
        var answer = requests.RegisterStreamAsync(new() { TenantId = "t", Name = "n" }, bytes.Reader, default).AsTask();
        if (atEnd)
        {
            await Eventually.HoldsAsync(() =>
                Directory.Exists(Path.Combine(images, "uploads"))
                && Directory.GetFiles(Path.Combine(images, "uploads")).Length > 0);
            Break();
        }
        await bytes.Writer.CompleteAsync();
        var error = (await answer).Error;
        Assert.Equal(ErrorCodes.RegisterImageStream, error?.Code);
        Assert.StartsWith("The image cannot be stored: ", error!.Message, StringComparison.Ordinal);

        void Break()
        {
            var path = Path.Combine(images, broken);
            if (Directory.Exists(path))
                Directory.Delete(path, recursive: true);
            Directory.CreateDirectory(images);
            File.WriteAllText(path, "no directory");
        }
    }
}

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresImageTests : ImageContract
{
    private readonly PostgresEdgeHost _edge;

    public PostgresImageTests(PostgresEdgeHost edge) : base(edge) => _edge = edge;

    // An upload under way is a transaction that waits for bytes.
    protected override async Task<string> KeptAsync() => (string)(await _edge.ExecuteAsync(
        """
        SELECT concat((SELECT count(*) FROM image_blob), ' blobs, ', (SELECT count(*) FROM image_chunk), ' chunks, ',
          (SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'), ' uploads')
        """))!;
}
