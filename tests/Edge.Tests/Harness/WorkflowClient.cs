using System.IO.Pipelines;
using System.Net.Sockets;
using Google.Protobuf;
using Attempt = Runtara.Actors.Instances.Attempt;
using Runtara.Protocol;
using Runtara.Protocol.Instances;

namespace Runtara.Edge.Tests.Harness;

/// <summary>A workflow's side of the instance protocol, through either door.</summary>
internal sealed class WorkflowClient : IAsyncDisposable
{
    private readonly QuicClient<RpcRequest, RpcResponse>? _quic;
    private readonly IAsyncDisposable? _door;
    private readonly string? _socketPath;

    private WorkflowClient(string id, QuicClient<RpcRequest, RpcResponse> quic) => (Id, _quic) = (id, quic);

    private WorkflowClient(string id, IAsyncDisposable door, string socketPath) =>
        (Id, _door, _socketPath) = (id, door, socketPath);

    /// <summary>The doors, for theories.</summary>
    public static TheoryData<string> Doors => ["socket", "quic"];

    public string Id { get; }

    public bool IsQuic => _quic is not null;

    /// <summary>A client that has said nothing yet.</summary>
    public static async Task<WorkflowClient> ConnectAsync(EdgeHost edge, string door, string id, int attempt = 0)
    {
        if (door == "quic")
            return new WorkflowClient(id, edge.InstanceClient());
        var path = Path.Combine(edge.DirectoryPath, $"{edge.NewName("s")}.sock");
        return new WorkflowClient(
            id, await edge.Door.OpenAsync(new(id), new(EdgeHost.Tenant), new Attempt(attempt), path, default), path);
    }

    /// <summary>A client whose instance has registered itself.</summary>
    public static async Task<WorkflowClient> RegisteredAsync(EdgeHost edge, string door)
    {
        var client = await ConnectAsync(edge, door, edge.NewName());
        Assert.Equal("", (await client.RegisterAsync()).Error);
        return client;
    }

    public Task<RpcResponse?> CallAsync(RpcRequest request) =>
        _quic is not null ? _quic.CallAsync(request) : CallSocketAsync(_socketPath!, request);

    /// <summary>One request on a socket connection of its own; null when it is closed without a reply.</summary>
    public static async Task<RpcResponse?> CallSocketAsync(string path, RpcRequest request)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), deadline.Token);
        await using var stream = new NetworkStream(socket);
        var output = PipeWriter.Create(stream);
        FrameWriter.Write(output, FrameType.Request, request);
        await output.FlushAsync(deadline.Token);
        var read = await FrameReader.ReadAsync(
            PipeReader.Create(stream), RpcResponse.Parser, FrameLimits.Default, TimeProvider.System, deadline.Token);
        return read.Message;
    }

    public async Task<RegisterInstanceResponse> RegisterAsync(
        string tenant = EdgeHost.Tenant, string? checkpoint = null)
    {
        var request = new RegisterInstanceRequest { InstanceId = Id, TenantId = tenant };
        if (checkpoint is not null)
            request.CheckpointId = checkpoint;
        return (await CallAsync(new RpcRequest { RegisterInstance = request }))!.RegisterInstance;
    }

    public async Task<RpcResponse> SaveAsync(string key, string state) => (await CallAsync(new RpcRequest
    {
        Checkpoint = new() { InstanceId = Id, CheckpointId = key, State = ByteString.CopyFromUtf8(state) },
    }))!;

    public async Task<RpcResponse> LoadAsync(string key) => (await CallAsync(
        new RpcRequest { GetCheckpoint = new() { InstanceId = Id, CheckpointId = key } }))!;

    public async Task<RpcResponse> SleepAsync(string key, ulong ms) => (await CallAsync(
        new RpcRequest { Sleep = new() { InstanceId = Id, CheckpointId = key, DurationMs = ms } }))!;

    public async Task<RpcResponse> ReportAsync(InstanceEventType type, string payload = "", string? subtype = null) =>
        (await CallAsync(new RpcRequest { InstanceEvent = Event(type, payload, subtype) }))!;

    public InstanceEvent Event(InstanceEventType type, string payload = "", string? subtype = null)
    {
        var happened = new InstanceEvent
        {
            InstanceId = Id,
            EventType = type,
            Payload = ByteString.CopyFromUtf8(payload),
            TimestampMs = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds(),
        };
        if (subtype is not null)
            happened.Subtype = subtype;
        return happened;
    }

    public async Task<PollSignalsResponse> PollAsync(string? key = null)
    {
        var request = new PollSignalsRequest { InstanceId = Id };
        if (key is not null)
            request.CheckpointId = key;
        return (await CallAsync(new RpcRequest { PollSignals = request }))!.PollSignals;
    }

    public Task AcknowledgeAsync(SignalType type, bool acknowledged = true) => CallAsync(new RpcRequest
    {
        SignalAck = new() { InstanceId = Id, SignalType = type, Acknowledged = acknowledged },
    });

    public async Task<GetInstanceStatusResponse> StatusAsync() => (await CallAsync(
        new RpcRequest { GetInstanceStatus = new() { InstanceId = Id } }))!.GetInstanceStatus;

    public async ValueTask DisposeAsync()
    {
        if (_quic is not null)
            await _quic.DisposeAsync();
        if (_door is not null)
            await _door.DisposeAsync();
    }
}
