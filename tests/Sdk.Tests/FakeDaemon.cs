using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net.Sockets;
using Google.Protobuf;
using Runtara.Protocol;
using Runtara.Protocol.Instances;
using Request = Runtara.Protocol.Instances.RpcRequest.RequestOneofCase;

namespace Runtara.Sdk.Tests;

/// <summary>A daemon on a unix socket that remembers one instance in memory and can die at will.</summary>
internal sealed class FakeDaemon : IDisposable
{
    private readonly ConcurrentDictionary<Socket, bool> _connections = new();
    private Socket _listener;

    internal FakeDaemon()
    {
        Folder = Directory.CreateTempSubdirectory("runtara-sdk-").FullName;
        _listener = Listen();
    }

    internal string Folder { get; }

    internal string SocketPath => Path.Combine(Folder, "runtara.sock");

    /// <summary>Of a workflow that talks to it: quiet, without heartbeats, its input an order.</summary>
    internal WorkflowOptions OptionsWithInput()
    {
        var path = Path.Combine(Folder, "input.json");
        File.WriteAllText(path, """{"Id":7}""");
        return new WorkflowOptions
        {
            InstanceId = "i-1", TenantId = "t-1", SocketPath = SocketPath, InputPath = path, Log = TextWriter.Null,
            HeartbeatInterval = TimeSpan.Zero,
        };
    }

    internal ConcurrentDictionary<string, ByteString> Checkpoints { get; } = new();

    internal ConcurrentQueue<RpcRequest> Requests { get; } = new();

    internal Signal? Pending { get; set; }

    internal ConcurrentDictionary<string, ByteString> CustomSignals { get; } = new();

    internal TaskCompletionSource SleepEnds { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Gives a reply of its own, or null for the usual one.</summary>
    internal Func<RpcRequest, RpcResponse?> Override { get; set; } = _ => null;

    /// <summary>Whether to close the connection, the request carried out, instead of replying.</summary>
    internal Func<RpcRequest, bool> DropsReplyTo { get; set; } = _ => false;

    internal IEnumerable<InstanceEvent> Events => Requests
        .Where(r => r.RequestCase == Request.InstanceEvent).Select(r => r.InstanceEvent);

    internal int Count(Request request) => Requests.Count(r => r.RequestCase == request);

    internal void Die()
    {
        _listener.Dispose();
        foreach (var connection in _connections.Keys)
            connection.Dispose();
        File.Delete(SocketPath);
    }

    internal void Revive() => _listener = Listen();

    public void Dispose()
    {
        Die();
        Directory.Delete(Folder, recursive: true);
    }

    private Socket Listen()
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(SocketPath));
        listener.Listen();
        _ = AcceptAsync(listener);
        return listener;
    }

    private async Task AcceptAsync(Socket listener)
    {
        try
        {
            while (true)
                _ = ServeAsync(await listener.AcceptAsync());
        }
        catch (Exception closed) when (closed is SocketException or ObjectDisposedException)
        {
            // The daemon died.
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        _connections[socket] = true;
        using var stream = new NetworkStream(socket, ownsSocket: true);
        var (input, output) = (PipeReader.Create(stream), PipeWriter.Create(stream));
        try
        {
            while (true)
            {
                var read = await FrameReader.ReadAsync(
                    input, RpcRequest.Parser, FrameLimits.Default, TimeProvider.System, default);
                if (!read.IsComplete)
                    return;
                Requests.Enqueue(read.Message);
                var reply = Override(read.Message) ?? await AnswerAsync(read.Message);
                if (DropsReplyTo(read.Message))
                    return;
                FrameWriter.Write(output, FrameType.Response, reply);
                await output.FlushAsync();
            }
        }
        catch (Exception gone) when (gone is IOException or ObjectDisposedException)
        {
            // The workflow left, or the daemon died.
        }
        finally
        {
            _connections.TryRemove(socket, out _);
        }
    }

    private async Task<RpcResponse> AnswerAsync(RpcRequest request)
    {
        switch (request.RequestCase)
        {
            case Request.RegisterInstance:
                return new RpcResponse { RegisterInstance = new RegisterInstanceResponse { Success = true } };
            case Request.GetCheckpoint:
                var found = Checkpoints.TryGetValue(request.GetCheckpoint.CheckpointId, out var state);
                var got = new GetCheckpointResponse { Found = found, State = state ?? ByteString.Empty };
                return new RpcResponse { GetCheckpoint = got };
            case Request.Checkpoint:
                return new RpcResponse { Checkpoint = Save(request.Checkpoint) };
            case Request.Sleep:
                await SleepEnds.Task;
                return new RpcResponse { Sleep = new SleepResponse() };
            case Request.InstanceEvent:
                return new RpcResponse { InstanceEvent = new InstanceEventResponse { Success = true } };
            case Request.PollSignals:
                return new RpcResponse { PollSignals = Poll(request.PollSignals) };
            default:
                return new RpcResponse();
        }
    }

    private CheckpointResponse Save(CheckpointRequest request)
    {
        var added = Checkpoints.TryAdd(request.CheckpointId, request.State);
        var reply = new CheckpointResponse { Found = !added, PendingSignal = Pending };
        if (!added)
            reply.State = Checkpoints[request.CheckpointId];
        return reply;
    }

    private PollSignalsResponse Poll(PollSignalsRequest request)
    {
        var reply = new PollSignalsResponse { Signal = Pending };
        if (CustomSignals.TryGetValue(request.CheckpointId, out var payload))
            reply.CustomSignal = new CustomSignal { CheckpointId = request.CheckpointId, Payload = payload };
        return reply;
    }
}
