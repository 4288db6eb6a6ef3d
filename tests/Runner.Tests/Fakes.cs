using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;

namespace Runtara.Runner.Tests;

/// <summary>A store that has blobs in memory; it may hand out wrong bytes and counts how often it is asked.</summary>
internal sealed class FakeImages : IImageStore
{
    internal ConcurrentDictionary<string, byte[]> Blobs { get; } = new();

    /// <summary>JSON by image; an image without any is there too.</summary>
    internal ConcurrentDictionary<ImageId, string> Metadata { get; } = new();

    internal int Opened;

    internal TaskCompletionSource? Gate { get; set; }

    public async ValueTask<Stream> OpenBlobAsync(string sha256, CancellationToken cancellation)
    {
        Interlocked.Increment(ref Opened);
        if (Gate is { } gate)
            await gate.Task.WaitAsync(cancellation);
        return Blobs.TryGetValue(sha256, out var bytes) ? new MemoryStream(bytes) : throw new FileNotFoundException();
    }

    public ValueTask<IImageUpload> BeginUploadAsync(CancellationToken cancellation) =>
        throw new NotSupportedException();

    public ValueTask<Image?> FindAsync(ImageId id, CancellationToken cancellation) =>
        ValueTask.FromResult(id.Value == "deleted" ? null : new Image(
            id, new TenantId("acme"), "name", null, RunnerType.Oci,
            Metadata.TryGetValue(id, out var json) ? Encoding.UTF8.GetBytes(json) : null, "", 0,
            DateTimeOffset.UnixEpoch));

    public ValueTask<(IReadOnlyList<Image> Images, int TotalCount)> ListAsync(
        TenantId? tenant, int limit, int offset, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<ImageDeletion> DeleteAsync(ImageId id, TenantId tenant, CancellationToken cancellation) =>
        throw new NotSupportedException();
}

/// <summary>Inputs by instance.</summary>
internal sealed class FakeInputs : IInstanceInputs
{
    internal ConcurrentDictionary<InstanceId, string> Inputs { get; } = new();

    public ValueTask<ReadOnlyMemory<byte>> ReadInputAsync(InstanceId instance, CancellationToken cancellation) =>
        ValueTask.FromResult<ReadOnlyMemory<byte>>(
            Inputs.TryGetValue(instance, out var input) ? Encoding.UTF8.GetBytes(input) : default);
}

/// <summary>A door that says who it is for to everyone who connects, and knows which doors are open.</summary>
internal sealed class FakeDoor : IInstanceDoor
{
    internal ConcurrentDictionary<string, Attempt> Open { get; } = new();

    public ValueTask<IAsyncDisposable> OpenAsync(
        InstanceId instance, TenantId tenant, Attempt attempt, string socketPath, CancellationToken cancellation)
    {
        Open[socketPath] = attempt;
        Socket? socket = null;
        if (socketPath.Length < 100)
        {
            socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Bind(new UnixDomainSocketEndPoint(socketPath));
            socket.Listen();
            _ = GreetAsync(socket, $"{tenant}/{instance}#{attempt}");
        }
        return ValueTask.FromResult<IAsyncDisposable>(new Opened(this, socketPath, socket));
    }

    private static async Task GreetAsync(Socket socket, string greeting)
    {
        try
        {
            while (true)
            {
                using var connection = await socket.AcceptAsync();
                await connection.SendAsync(Encoding.UTF8.GetBytes(greeting));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The door was closed.
        }
    }

    private sealed class Opened(FakeDoor door, string path, Socket? socket) : IAsyncDisposable
    {
        public ValueTask DisposeAsync()
        {
            door.Open.TryRemove(path, out _);
            socket?.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
