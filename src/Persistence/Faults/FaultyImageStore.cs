using Runtara.Actors.Images;
using Runtara.Actors.Instances;

namespace Runtara.Persistence.Faults;

/// <summary>
/// Uploads that fail on purpose. All else of an image store is repeated during an outage, and fails there.
/// </summary>
internal sealed class FaultyImageStore(IImageStore inner, FaultDraws faults) : IImageStore
{
    public ValueTask<IImageUpload> BeginUploadAsync(CancellationToken cancellation) => faults.CallAsync(
        async () => (IImageUpload)new Upload(await inner.BeginUploadAsync(cancellation), faults), cancellation);

    public ValueTask<Image?> FindAsync(ImageId id, CancellationToken cancellation) => inner.FindAsync(id, cancellation);

    public ValueTask<(IReadOnlyList<Image> Images, int TotalCount)> ListAsync(
        TenantId? tenant, int limit, int offset, CancellationToken cancellation) =>
        inner.ListAsync(tenant, limit, offset, cancellation);

    public ValueTask<ImageDeletion> DeleteAsync(ImageId id, TenantId tenant, CancellationToken cancellation) =>
        inner.DeleteAsync(id, tenant, cancellation);

    public ValueTask<Stream> OpenBlobAsync(string sha256, CancellationToken cancellation) =>
        inner.OpenBlobAsync(sha256, cancellation);

    private sealed class Upload(IImageUpload inner, FaultDraws faults) : IImageUpload
    {
        public long SizeBytes => inner.SizeBytes;

        public string Sha256 => inner.Sha256;

        public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation) =>
            inner.WriteAsync(bytes, cancellation);

        public ValueTask<Image> CommitAsync(ImageRegistration registration, CancellationToken cancellation) =>
            faults.CallAsync(() => inner.CommitAsync(registration, cancellation), cancellation);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
