using Runtara.Actors.Instances;

namespace Runtara.Actors.Images;

/// <summary>The id of one registration of an image; a name registered again gets a new one.</summary>
public readonly record struct ImageId(string Value)
{
    /// <inheritdoc />
    public override string ToString() => Value;
}

/// <summary>The kind of runner an image asks for; the numbers are those of the protocol.</summary>
public enum RunnerType
{
    /// <summary>A container by an OCI runtime.</summary>
    Oci = 0,

    /// <summary>A plain process; accepted, but no runner serves it.</summary>
    Native = 1,

    /// <summary>A WebAssembly module; accepted, but no runner serves it.</summary>
    Wasm = 2,
}

/// <summary>What a caller says about an image that it registers.</summary>
/// <param name="Tenant">The owner.</param>
/// <param name="Name">1 to 255 characters; <see cref="IdentifierRule.CheckImageName"/>.</param>
/// <param name="Description">Free text, or null.</param>
/// <param name="RunnerType">The runner that it asks for.</param>
/// <param name="Metadata">JSON bytes, or null.</param>
public sealed record ImageRegistration(
    TenantId Tenant, string Name, string? Description, RunnerType RunnerType, byte[]? Metadata)
{
    /// <summary>Whether the metadata describe agents, so that they are found without reading all metadata.</summary>
    public bool HasAgents { get; init; }
}

/// <summary>A registered image: immutable, its bytes named by their SHA-256 (lowercase hex).</summary>
public sealed record Image(
    ImageId Id, TenantId Tenant, string Name, string? Description, RunnerType RunnerType, byte[]? Metadata,
    string Sha256, long SizeBytes, DateTimeOffset CreatedAt);

/// <summary>A current registration whose metadata describe agents.</summary>
public sealed record AgentImage(ImageId Id, TenantId Tenant, string Name, RunnerType RunnerType, string Sha256);

/// <summary>What became of a wish to delete an image.</summary>
/// <param name="Found">False when there is no such image of that tenant.</param>
/// <param name="InUseBy">How many non-terminal instances use it; above 0 nothing was deleted.</param>
public readonly record struct ImageDeletion(bool Found, int InUseBy)
{
    /// <summary>Whether the image is gone.</summary>
    public bool Deleted => Found && InUseBy == 0;
}

/// <summary>The images that all nodes share: registrations in the catalog, bytes content-addressed (D8).</summary>
public interface IImageStore
{
    /// <summary>
    /// Begins an upload. Nothing of it is visible, and disposing it leaves nothing, until it is committed.
    /// </summary>
    ValueTask<IImageUpload> BeginUploadAsync(CancellationToken cancellation);

    /// <summary>The image with this id, of any tenant; null when there is none.</summary>
    ValueTask<Image?> FindAsync(ImageId id, CancellationToken cancellation);

    /// <summary>
    /// Newest first, then by id; <paramref name="tenant"/> null means all. The count is of all that match.
    /// </summary>
    ValueTask<(IReadOnlyList<Image> Images, int TotalCount)> ListAsync(
        TenantId? tenant, int limit, int offset, CancellationToken cancellation);

    /// <summary>Deletes an image of this tenant unless a non-terminal instance uses it.</summary>
    ValueTask<ImageDeletion> DeleteAsync(ImageId id, TenantId tenant, CancellationToken cancellation);

    /// <summary>
    /// The bytes with this SHA-256, forward only. Throws <see cref="FileNotFoundException"/> when missing.
    /// </summary>
    ValueTask<Stream> OpenBlobAsync(string sha256, CancellationToken cancellation);
}

/// <summary>An upload under way. Disposing it before the commit discards what was written.</summary>
public interface IImageUpload : IAsyncDisposable
{
    /// <summary>Adds bytes; hashing and counting happen here.</summary>
    ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation);

    /// <summary>How many bytes have been written.</summary>
    long SizeBytes { get; }

    /// <summary>The SHA-256 of what has been written so far, lowercase hex.</summary>
    string Sha256 { get; }

    /// <summary>Stores bytes and registration durably; the name now means the new image.</summary>
    ValueTask<Image> CommitAsync(ImageRegistration registration, CancellationToken cancellation);
}
