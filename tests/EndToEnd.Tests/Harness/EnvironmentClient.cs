using System.Net;
using System.Security.Cryptography;
using Google.Protobuf;
using Runtara.Protocol;
using Runtara.Protocol.Environments;
using Runtara.Quic;

namespace Runtara.EndToEnd.Tests.Harness;

/// <summary>
/// The environment protocol, bare: what any client would put on the wire. Connects again when the daemon was restarted.
/// </summary>
internal sealed class EnvironmentClient(IPEndPoint daemon) : IAsyncDisposable
{
    private static readonly TimeSpan CallWithin = TimeSpan.FromSeconds(60);

    private readonly SemaphoreSlim _connecting = new(1);
    private QuicConnection? _connection;

    /// <summary>One request on one stream. Throws what the transport throws when the daemon is gone.</summary>
    public async Task<RpcResponse> CallAsync(RpcRequest request, ReadOnlyMemory<byte> upload = default)
    {
        using var deadline = new CancellationTokenSource(CallWithin);
        var connection = await ConnectAsync(deadline.Token);
        await using var stream = await connection.OpenStreamAsync(deadline.Token);
        FrameWriter.Write(stream.Output, FrameType.Request, request);
        if (!upload.IsEmpty)
            await stream.Output.WriteAsync(upload, deadline.Token);
        await stream.Output.CompleteAsync();
        var read = await FrameReader.ReadAsync(
            stream.Input, RpcResponse.Parser, FrameLimits.Default, TimeProvider.System, deadline.Token);
        return read.IsComplete ? read.Message : throw new IOException($"no response: {read.Outcome} {read.Detail}");
    }

    /// <summary>As <see cref="CallAsync"/>, again while the daemon says that it may be asked again.</summary>
    public async Task<RpcResponse> RepeatAsync(RpcRequest request, ReadOnlyMemory<byte> upload = default)
    {
        using var deadline = new CancellationTokenSource(CallWithin);
        while (true)
        {
            var response = await CallAsync(request, upload);
            if (response.Error is not { } error || deadline.IsCancellationRequested
                || !error.Message.EndsWith(ErrorCodes.SafeToRepeat, StringComparison.Ordinal))
                return response;
            await Eventually.PauseAsync();
        }
    }

    /// <summary>As <see cref="RepeatAsync"/>, and again while the daemon is away. For idempotent requests.</summary>
    public async Task<RpcResponse> PersistAsync(RpcRequest request, ReadOnlyMemory<byte> upload = default)
    {
        using var deadline = new CancellationTokenSource(CallWithin);
        while (true)
        {
            try
            {
                return await RepeatAsync(request, upload);
            }
            catch (Exception e)
                when (e is IOException or OperationCanceledException && !deadline.IsCancellationRequested)
            {
                await Eventually.PauseAsync();
            }
        }
    }

    private async Task<QuicConnection> ConnectAsync(CancellationToken cancellation)
    {
        await _connecting.WaitAsync(cancellation);
        try
        {
            if (_connection is null || _connection.Closed.IsCompleted)
            {
                _connection = await QuicConnection.ConnectAsync(
                    new QuicClientOptions
                    {
                        Remote = daemon,
                        Trust = QuicTrust.AcceptAny,
                        ConnectTimeout = TimeSpan.FromSeconds(2),
                        IdleTimeout = TimeSpan.FromSeconds(5),
                        KeepAlive = TimeSpan.FromSeconds(1),
                    },
                    cancellation);
            }
            return _connection;
        }
        finally
        {
            _connecting.Release();
        }
    }

    public async Task<string> RegisterAsync(string tenant, string name, string file)
    {
        var bytes = await File.ReadAllBytesAsync(file);
        var response = await PersistAsync(
            new RpcRequest
            {
                RegisterImageStream = new()
                {
                    TenantId = tenant,
                    Name = name,
                    BinarySize = (ulong)bytes.Length,
                    Sha256 = Convert.ToHexStringLower(SHA256.HashData(bytes)),
                },
            },
            bytes);
        return response.RegisterImage is { Success: true } registered
            ? registered.ImageId
            : throw new InvalidOperationException($"not registered: {response}");
    }

    public async Task<StartInstanceResponse> StartAsync(string tenant, string image, string instance, string input)
    {
        var response = await PersistAsync(new RpcRequest
        {
            StartInstance = new()
            {
                TenantId = tenant,
                ImageId = image,
                InstanceId = instance,
                Input = ByteString.CopyFromUtf8(input),
            },
        });
        return response.StartInstance ?? throw new InvalidOperationException(response.ToString());
    }

    public async Task<GetInstanceStatusResponse> StatusAsync(string instance)
    {
        var response = await PersistAsync(new RpcRequest { GetInstanceStatus = new() { InstanceId = instance } });
        return response.GetInstanceStatus ?? throw new InvalidOperationException(response.ToString());
    }

    /// <summary>Waits for a terminal status.</summary>
    public Task<GetInstanceStatusResponse> EndAsync(string instance, TimeSpan within) => Eventually.IsAsync(
        () => StatusAsync(instance), s => s.Status >= InstanceStatus.StatusCompleted, within, $"{instance} has ended");

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
            await _connection.DisposeAsync();
        _connecting.Dispose();
    }
}
