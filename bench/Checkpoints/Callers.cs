using System.IO.Pipelines;
using System.Net.Sockets;
using Runtara.Protocol;
using Runtara.Protocol.Instances;
using Runtara.Quic;

namespace Runtara.Bench.Checkpoints;

/// <summary>One instance's way to the daemon.</summary>
internal abstract class Caller(string instance) : IAsyncDisposable
{
    /// <summary>The instance that it speaks for.</summary>
    public string Instance { get; } = instance;

    /// <summary>Sends a request and waits for its reply.</summary>
    public abstract ValueTask<RpcResponse> CallAsync(RpcRequest request);

    public abstract ValueTask DisposeAsync();

    /// <summary>Connects what the options ask for; the instances are not registered yet.</summary>
    public static async Task<IReadOnlyList<Caller>> ConnectAsync(LoadOptions options)
    {
        if (options.Door == DoorKind.Socket)
            return await SocketCaller.ConnectAsync(options);
        var run = Guid.NewGuid().ToString("N")[..12];
        var callers = new List<Caller>();
        for (var i = 0; i < options.Instances; i++)
            callers.Add(await QuicCaller.ConnectAsync(options, $"bench-{run}-{i}"));
        return callers;
    }

    protected static RpcResponse Checked(FrameRead<RpcResponse> read) => read.IsComplete
        ? read.Message
        : throw new IOException($"no reply: {read.Outcome}: {read.Detail}");
}

/// <summary>A stream for each request, on a connection of its own.</summary>
internal sealed class QuicCaller(string instance, QuicConnection connection) : Caller(instance)
{
    public static async Task<QuicCaller> ConnectAsync(LoadOptions options, string instance) => new(
        instance,
        await QuicConnection.ConnectAsync(
            new QuicClientOptions { Remote = options.Server, Trust = QuicTrust.AcceptAny }));

    public override async ValueTask<RpcResponse> CallAsync(RpcRequest request)
    {
        await using var stream = await connection.OpenStreamAsync();
        FrameWriter.Write(stream.Output, FrameType.Request, request);
        // Sends what is written, and FIN with it.
        await stream.Output.CompleteAsync();
        return Checked(await FrameReader.ReadAsync(
            stream.Input, RpcResponse.Parser, FrameLimits.Default, TimeProvider.System, CancellationToken.None));
    }

    public override ValueTask DisposeAsync() => connection.DisposeAsync();
}

/// <summary>Frames one after another on one connection.</summary>
internal sealed class SocketCaller : Caller
{
    private readonly NetworkStream _stream;
    private readonly PipeReader _input;
    private readonly PipeWriter _output;

    private SocketCaller(string instance, Socket socket)
        : base(instance)
    {
        _stream = new NetworkStream(socket, ownsSocket: true);
        _input = PipeReader.Create(_stream);
        _output = PipeWriter.Create(_stream);
    }

    public static new async Task<IReadOnlyList<Caller>> ConnectAsync(LoadOptions options)
    {
        var paths = Directory.GetFiles(options.Sockets, "*.sock").Order(StringComparer.Ordinal)
            .Take(options.Instances).ToArray();
        if (paths.Length < options.Instances)
            throw new IOException($"{options.Sockets} has {paths.Length} sockets, not {options.Instances}");
        var callers = new List<Caller>();
        foreach (var path in paths)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
            callers.Add(new SocketCaller(Path.GetFileNameWithoutExtension(path), socket));
        }
        return callers;
    }

    public override async ValueTask<RpcResponse> CallAsync(RpcRequest request)
    {
        FrameWriter.Write(_output, FrameType.Request, request);
        await _output.FlushAsync();
        return Checked(await FrameReader.ReadAsync(
            _input, RpcResponse.Parser, FrameLimits.Default, TimeProvider.System, CancellationToken.None));
    }

    public override ValueTask DisposeAsync() => _stream.DisposeAsync();
}
