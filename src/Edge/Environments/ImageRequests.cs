using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using Google.Protobuf;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Protocol;
using Wire = Runtara.Protocol.Environments;

namespace Runtara.Edge.Environments;

/// <summary>The image requests of the environment protocol (§3.2 to §3.6, upload bytes §1.5).</summary>
public sealed class ImageRequests(IImageStore images, EdgeOptions options, TimeProvider time)
{
    /// <summary>Registers an image that came in one frame.</summary>
    public async ValueTask<Wire.RpcResponse> RegisterAsync(Wire.RegisterImageRequest r, CancellationToken cancellation)
    {
        var wrong = Check(r.TenantId, r.Name, r.Description, r.Metadata)
            ?? (r.Binary.IsEmpty ? "binary is required" : null)
            ?? (r.Binary.Length > options.ImageBytesMax ? TooLarge((ulong)r.Binary.Length) : null);
        if (wrong is not null)
            return Registered(wrong);
        var (registration, problem) = Registration(
            r.TenantId, r.Name, r.HasDescription ? r.Description : null, r.RunnerType, r.Metadata);
        var check = new ImageCheck(registration);
        check.Add(r.Binary.Memory);
        wrong = problem ?? check.MetadataProblem ?? check.BinaryProblem();
        if (wrong is not null)
            return Registered(wrong);
        await using var upload = await images.BeginUploadAsync(cancellation);
        await upload.WriteAsync(r.Binary.Memory, cancellation);
        return Registered(await upload.CommitAsync(registration, cancellation));
    }

    /// <summary>
    /// Registers an image whose bytes follow the frame until FIN. Checked while it streams; whatever ends it early
    /// leaves nothing behind.
    /// </summary>
    public async ValueTask<Wire.RpcResponse> RegisterStreamAsync(
        Wire.RegisterImageStreamStart r, PipeReader input, CancellationToken cancellation)
    {
        var wrong = Check(r.TenantId, r.Name, r.Description, r.Metadata)
            ?? (r.BinarySize > (ulong)options.ImageBytesMax ? TooLarge(r.BinarySize) : null);
        if (wrong is not null)
            return Registered(wrong);
        var (registration, problem) = Registration(
            r.TenantId, r.Name, r.HasDescription ? r.Description : null, r.RunnerType, r.Metadata);
        var check = new ImageCheck(registration);
        if ((problem ?? check.MetadataProblem) is { } useless)
            return Registered(useless);
        await using var upload = await images.BeginUploadAsync(cancellation);
        if (await ReceiveAsync(input, upload, check, cancellation) is { } broken)
            return Registered(broken);
        if (upload.SizeBytes == 0)
            return Registered("binary is required");
        if (r.HasSha256 && r.Sha256 != upload.Sha256)
            return Registered($"Checksum mismatch: expected {r.Sha256}, got {upload.Sha256}");
        if (r.BinarySize > 0 && (long)r.BinarySize != upload.SizeBytes)
            return Registered($"Size mismatch: expected {r.BinarySize}, got {upload.SizeBytes}");
        if (check.BinaryProblem() is { } unusable)
            return Registered(unusable);
        return Registered(await upload.CommitAsync(registration, cancellation));
    }

    private async ValueTask<string?> ReceiveAsync(
        PipeReader input, IImageUpload upload, ImageCheck check, CancellationToken cancellation)
    {
        while (true)
        {
            using var stalled = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            using var alarm = time.CreateTimer(
                static s => ((CancellationTokenSource)s!).Cancel(), stalled, options.Frames.StallTimeout,
                Timeout.InfiniteTimeSpan);
            ReadResult read;
            try
            {
                read = await input.ReadAsync(stalled.Token);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                return $"the upload stalled: no byte for {options.Frames.StallTimeout.TotalSeconds:0} s";
            }
            foreach (var piece in read.Buffer)
            {
                await upload.WriteAsync(piece, cancellation);
                check.Add(piece);
            }
            input.AdvanceTo(read.Buffer.End);
            if (upload.SizeBytes > options.ImageBytesMax)
                return TooLarge((ulong)upload.SizeBytes);
            if (read.IsCompleted)
                return null;
            if (check.HasSeenEnough && check.BinaryProblem() is { } unusable)
                return unusable;
        }
    }

    private string TooLarge(ulong bytes) =>
        $"binary has {bytes} bytes or more, the limit is {options.ImageBytesMax} (images.max-bytes)";

    private string? Check(string tenantId, string name, string description, ByteString metadata) =>
        IdentifierRule.Check("tenant_id", tenantId) ?? IdentifierRule.CheckImageName("name", name)
        ?? (description.Length > options.DescriptionLengthMax
            ? $"description has {description.Length} characters, the limit is {options.DescriptionLengthMax} "
                + "(edge.description-length-max)"
            : null)
        ?? (metadata.Length > options.MetadataBytesMax
            ? $"metadata has {metadata.Length} bytes, the limit is {options.MetadataBytesMax} "
                + "(images.metadata-bytes-max)"
            : null);

    private static (ImageRegistration Registration, string? Problem) Registration(
        string tenantId, string name, string? description, Wire.RunnerType runnerType, ByteString metadata)
    {
        var known = Enum.IsDefined((RunnerType)(int)runnerType) ? (RunnerType)(int)runnerType : RunnerType.Oci;
        var (agents, problem) = AgentMetadata.Read(metadata.Memory);
        var kept = IsJson(metadata.Span) ? metadata.ToByteArray() : null;
        return (new(new(tenantId), name, description, known, kept) { HasAgents = agents.Count > 0 }, problem);
    }

    /// <summary>Whether the bytes are one JSON value; what is not is taken as absent, as in the reference.</summary>
    internal static bool IsJson(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return false;
        // Not as a document: one of many small values takes many times its bytes.
        var reader = new Utf8JsonReader(bytes, new JsonReaderOptions { MaxDepth = 256 });
        try
        {
            while (reader.Read())
            {
            }
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static Wire.RpcResponse Registered(Image image) =>
        new() { RegisterImage = new() { Success = true, ImageId = image.Id.Value } };

    private static Wire.RpcResponse Registered(string error) => new() { RegisterImage = new() { Error = error } };

    /// <summary>Newest first; at most the configured page, and what fits into a frame.</summary>
    public async ValueTask<Wire.RpcResponse> ListAsync(Wire.ListImagesRequest r, CancellationToken cancellation)
    {
        var (page, total) = await images.ListAsync(
            r.HasTenantId ? new TenantId(r.TenantId) : null, Paging.Limit(r.Limit, options.PageMax),
            Paging.Offset(r.Offset), cancellation);
        var list = new Wire.ListImagesResponse { TotalCount = (uint)total };
        list.Images.AddRange(Replies.Fitting(page.Select(Summary), options));
        return new() { ListImages = list };
    }

    /// <summary>One image of a tenant; another tenant's is indistinguishable from a missing one.</summary>
    public async ValueTask<Wire.RpcResponse> GetAsync(Wire.GetImageRequest r, CancellationToken cancellation)
    {
        if (r.ImageId.Length == 0)
            return EnvironmentRequests.Error(ErrorCodes.GetImage, "Invalid request: image_id is required");
        var image = await images.FindAsync(new(r.ImageId), cancellation);
        return image?.Tenant.Value == r.TenantId
            ? new() { GetImage = new() { Found = true, Image = Summary(image) } }
            : new() { GetImage = new() };
    }

    /// <summary>Deletes an image that no non-terminal instance uses.</summary>
    public async ValueTask<Wire.RpcResponse> DeleteAsync(Wire.DeleteImageRequest r, CancellationToken cancellation)
    {
        if (r.ImageId.Length == 0)
            return EnvironmentRequests.Error(ErrorCodes.DeleteImage, "Invalid request: image_id is required");
        var deletion = await images.DeleteAsync(new(r.ImageId), new(r.TenantId), cancellation);
        var error = deletion switch
        {
            { Found: false } => $"Image '{r.ImageId}' not found",
            { InUseBy: > 0 } => $"Image '{r.ImageId}' is in use by {deletion.InUseBy} instances",
            _ => "",
        };
        return new() { DeleteImage = new() { Success = error.Length == 0, Error = error } };
    }

    private static Wire.ImageSummary Summary(Image image)
    {
        var summary = new Wire.ImageSummary
        {
            ImageId = image.Id.Value,
            TenantId = image.Tenant.Value,
            Name = image.Name,
            RunnerType = (Wire.RunnerType)(int)image.RunnerType,
            CreatedAtMs = image.CreatedAt.ToUnixTimeMilliseconds(),
        };
        if (image.Description is not null)
            summary.Description = image.Description;
        return summary;
    }
}

/// <summary>The rules of pages (semantics, row "Lists").</summary>
internal static class Paging
{
    private const uint Default = 100;

    public static int Limit(uint asked, int max) => (int)Math.Min(asked == 0 ? Default : asked, (uint)max);

    /// <summary>For the lists that tell "absent" from 0: absent means 100, 0 means no rows.</summary>
    public static int OptionalLimit(uint? asked, int max) => (int)Math.Min(asked ?? Default, (uint)max);

    public static int Offset(uint asked) => (int)Math.Min(asked, int.MaxValue);
}
