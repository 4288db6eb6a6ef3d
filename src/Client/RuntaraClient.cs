using Google.Protobuf;
using Runtara.Protocol.Environments;
using Response = Runtara.Protocol.Environments.RpcResponse.ResponseOneofCase;

namespace Runtara.Client;

/// <summary>
/// Manages images and instances. Safe for concurrent use; one connection, made anew after it broke. A request ends
/// within <see cref="RuntaraClientOptions.RequestTimeout"/> and <see cref="RuntaraClientOptions.ReplyMargin"/>; waits,
/// uploads and tests of capabilities say themselves how long they take. What the server or the connection fail to do
/// is a <see cref="RuntaraException"/>; a call that its caller ends is an <see cref="OperationCanceledException"/>, and
/// arguments that no request can hold are what .NET throws for them. Reads and starts are retried, over a new
/// connection or when the server says that a request may be sent again.
/// </summary>
public sealed partial class RuntaraClient : IAsyncDisposable
{
    private readonly RuntaraClientOptions _options;
    private readonly ServerConnection _connection;
    private readonly Calls _calls;

    private RuntaraClient(RuntaraClientOptions options)
    {
        _options = options;
        _connection = new ServerConnection(options);
        _calls = new Calls(_connection, options);
    }

    /// <summary>Connects.</summary>
    /// <param name="options">Null for <see cref="RuntaraClientOptions.FromEnvironment"/>.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="RuntaraConfigurationException">The options do not say which certificate to accept, or name no
    /// address.</exception>
    /// <exception cref="RuntaraConnectionException">The server does not answer.</exception>
    public static async Task<RuntaraClient> ConnectAsync(
        RuntaraClientOptions? options = null, CancellationToken ct = default)
    {
        var client = new RuntaraClient(options ?? RuntaraClientOptions.FromEnvironment());
        try
        {
            await client._connection.GetAsync(ct);
            return client;
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
    }

    /// <summary>How the server is.</summary>
    /// <param name="ct">Ends the wait.</param>
    public async Task<HealthStatus> HealthAsync(CancellationToken ct = default)
    {
        var request = new RpcRequest { HealthCheck = new HealthCheckRequest() };
        return (await _calls.ReadAsync(request, Response.HealthCheck, ct)).HealthCheck.ToModel();
    }

    /// <summary>Images, newest first.</summary>
    /// <param name="tenantId">Owner; null for all.</param>
    /// <param name="limit">Most rows, 1 to 1,000.</param>
    /// <param name="offset">Rows to skip.</param>
    /// <param name="ct">Ends the wait.</param>
    public async Task<ListImagesResult> ListImagesAsync(
        string? tenantId = null, uint limit = 100, uint offset = 0, CancellationToken ct = default)
    {
        var list = new ListImagesRequest { Limit = limit, Offset = offset };
        if (tenantId is not null)
            list.TenantId = tenantId;
        var reply = await _calls.ReadAsync(new RpcRequest { ListImages = list }, Response.ListImages, ct);
        var images = reply.ListImages;
        return new ListImagesResult([.. images.Images.Select(i => i.ToModel())], images.TotalCount);
    }

    /// <summary>One image; null when the tenant has none with this id.</summary>
    /// <param name="imageId">Id.</param>
    /// <param name="tenantId">Owner.</param>
    /// <param name="ct">Ends the wait.</param>
    public async Task<ImageSummary?> GetImageAsync(string imageId, string tenantId, CancellationToken ct = default)
    {
        var get = new GetImageRequest { ImageId = imageId, TenantId = tenantId };
        var reply = await _calls.ReadAsync(new RpcRequest { GetImage = get }, Response.GetImage, ct);
        return reply.GetImage.Found ? reply.GetImage.Image?.ToModel() : null;
    }

    /// <summary>Removes an image.</summary>
    /// <param name="imageId">Id.</param>
    /// <param name="tenantId">Owner.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="ImageNotFoundException">The tenant has none with this id.</exception>
    /// <exception cref="RuntaraException">An instance uses it; code <c>DELETE_FAILED</c>.</exception>
    public async Task DeleteImageAsync(string imageId, string tenantId, CancellationToken ct = default)
    {
        var delete = new DeleteImageRequest { ImageId = imageId, TenantId = tenantId };
        var reply = await _calls.WriteAsync(new RpcRequest { DeleteImage = delete }, Response.DeleteImage, ct);
        if (!reply.DeleteImage.Success)
            throw SoftError("DELETE_FAILED", reply.DeleteImage.Error, e => new ImageNotFoundException(e));
    }

    /// <summary>
    /// Starts an instance. When it returns, the instance is durable; its launch comes later. When nobody knows whether
    /// it was started, the exception's remedy names its id: the same start with that id starts nothing again.
    /// </summary>
    /// <param name="start">What to start.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <returns>Id of the instance.</returns>
    /// <exception cref="ImageNotFoundException">The tenant has no such image.</exception>
    /// <exception cref="RuntaraException">Refused; code <c>START_FAILED</c>.</exception>
    public async Task<string> StartInstanceAsync(InstanceStart start, CancellationToken ct = default)
    {
        var id = string.IsNullOrEmpty(start.InstanceId) ? Guid.NewGuid().ToString() : start.InstanceId;
        var request = new RpcRequest { StartInstance = (start with { InstanceId = id }).ToWire() };
        var reply = await StartAsync(request, ct);
        return reply.StartInstance.Success
            ? reply.StartInstance.InstanceId
            : throw SoftError("START_FAILED", reply.StartInstance.Error, e => new ImageNotFoundException(e));
    }

    /// <summary>Everything about an instance.</summary>
    /// <param name="instanceId">Id.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="InstanceNotFoundException">There is none.</exception>
    public async Task<InstanceInfo> GetInstanceStatusAsync(string instanceId, CancellationToken ct = default)
    {
        var get = new GetInstanceStatusRequest { InstanceId = instanceId };
        var reply = await _calls.ReadAsync(
            new RpcRequest { GetInstanceStatus = get }, Response.GetInstanceStatus, ct);
        return reply.GetInstanceStatus.Found
            ? reply.GetInstanceStatus.ToModel()
            : throw new InstanceNotFoundException($"Instance '{instanceId}' not found");
    }

    /// <summary>Instances, newest first.</summary>
    /// <param name="filter">Which; null for the newest 100 of all tenants.</param>
    /// <param name="ct">Ends the wait.</param>
    public async Task<ListInstancesResult> ListInstancesAsync(
        InstanceFilter? filter = null, CancellationToken ct = default)
    {
        var request = new RpcRequest { ListInstances = (filter ?? new InstanceFilter()).ToWire() };
        var list = (await _calls.ReadAsync(request, Response.ListInstances, ct)).ListInstances;
        return new ListInstancesResult([.. list.Instances.Select(i => i.ToModel())], list.TotalCount);
    }

    /// <summary>Ends an instance.</summary>
    /// <param name="instanceId">Id.</param>
    /// <param name="grace">Time to end by itself, in whole seconds. Default 5 s; zero means the same, because the
    /// protocol has no other word for the default.</param>
    /// <param name="reason">Text for people, kept as an event.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="InstanceNotFoundException">There is none.</exception>
    /// <exception cref="RuntaraException">Refused; code <c>STOP_FAILED</c>.</exception>
    public async Task StopInstanceAsync(
        string instanceId, TimeSpan? grace = null, string reason = "", CancellationToken ct = default)
    {
        var stop = new StopInstanceRequest
        {
            InstanceId = instanceId,
            GracePeriodSeconds = (uint)Math.Ceiling((grace ?? TimeSpan.FromSeconds(5)).TotalSeconds),
            Reason = reason,
        };
        var reply = await _calls.WriteAsync(new RpcRequest { StopInstance = stop }, Response.StopInstance, ct);
        if (!reply.StopInstance.Success)
            throw SoftError("STOP_FAILED", reply.StopInstance.Error, e => new InstanceNotFoundException(e));
    }

    /// <summary>Lets a suspended instance go on.</summary>
    /// <param name="instanceId">Id.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="InstanceNotFoundException">There is none.</exception>
    /// <exception cref="RuntaraException">Refused; code <c>RESUME_FAILED</c>.</exception>
    public async Task ResumeInstanceAsync(string instanceId, CancellationToken ct = default)
    {
        var resume = new ResumeInstanceRequest { InstanceId = instanceId };
        var reply = await _calls.WriteAsync(new RpcRequest { ResumeInstance = resume }, Response.ResumeInstance, ct);
        if (!reply.ResumeInstance.Success)
            throw SoftError("RESUME_FAILED", reply.ResumeInstance.Error, e => new InstanceNotFoundException(e));
    }

    /// <summary>Asks an instance to suspend at its next checkpoint.</summary>
    /// <param name="instanceId">Id.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="InstanceNotFoundException">There is none.</exception>
    /// <exception cref="RuntaraException">Refused; code <c>SIGNAL_FAILED</c>.</exception>
    public Task PauseInstanceAsync(string instanceId, CancellationToken ct = default) =>
        SignalAsync(instanceId, SignalType.SignalPause, "", ct);

    /// <summary>Asks an instance to end at its next checkpoint.</summary>
    /// <param name="instanceId">Id.</param>
    /// <param name="reason">Handed to the workflow.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="InstanceNotFoundException">There is none.</exception>
    /// <exception cref="RuntaraException">Refused; code <c>SIGNAL_FAILED</c>.</exception>
    public Task CancelInstanceAsync(string instanceId, string reason = "", CancellationToken ct = default) =>
        SignalAsync(instanceId, SignalType.SignalCancel, reason, ct);

    /// <summary>Sends bytes to a workflow that waits for them, now or later.</summary>
    /// <param name="instanceId">Id.</param>
    /// <param name="key">Key that the workflow waits on.</param>
    /// <param name="payload">Bytes, JSON by custom.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="InstanceNotFoundException">There is none.</exception>
    /// <exception cref="RuntaraException">Refused; code <c>SIGNAL_FAILED</c>.</exception>
    public async Task SendCustomSignalAsync(
        string instanceId, string key, ReadOnlyMemory<byte> payload, CancellationToken ct = default)
    {
        var signal = new SendCustomSignalRequest
        {
            InstanceId = instanceId,
            CheckpointId = key,
            Payload = ByteString.CopyFrom(payload.Span),
        };
        var reply = await _calls.WriteAsync(
            new RpcRequest { SendCustomSignal = signal }, Response.SendCustomSignal, ct);
        if (!reply.SendCustomSignal.Success)
            throw SoftError("SIGNAL_FAILED", reply.SendCustomSignal.Error, e => new InstanceNotFoundException(e));
    }

    /// <summary>Closes the connection; requests under way fail.</summary>
    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private async Task<RpcResponse> StartAsync(RpcRequest request, CancellationToken ct)
    {
        try
        {
            return await _calls.ReadAsync(request, Response.StartInstance, ct);
        }
        catch (RuntaraTimeoutException late)
        {
            throw new RuntaraTimeoutException(late.Message, $"{late.Remedy} {Again()}", late);
        }
        catch (RuntaraConnectionException broken)
        {
            throw new RuntaraConnectionException(broken.Message, $"{broken.Remedy} {Again()}", broken);
        }
        catch (RuntaraException refused) when (Calls.MayPass(refused))
        {
            throw new RuntaraException(refused.Code, refused.Message, Again(), refused);
        }

        string Again() =>
            $"It may have been started as '{request.StartInstance.InstanceId}': with this id, start it again.";
    }

    private async Task SignalAsync(string instanceId, SignalType type, string payload, CancellationToken ct)
    {
        var signal = new SendSignalRequest
        {
            InstanceId = instanceId,
            SignalType = type,
            Payload = ByteString.CopyFromUtf8(payload),
        };
        var reply = await _calls.WriteAsync(new RpcRequest { SendSignal = signal }, Response.SendSignal, ct);
        if (!reply.SendSignal.Success)
            throw SoftError("SIGNAL_FAILED", reply.SendSignal.Error, e => new InstanceNotFoundException(e));
    }

    /// <summary>The protocol tells a missing thing from another refusal by these words only (§3).</summary>
    private static RuntaraException SoftError(string code, string error, Func<string, RuntaraException> notFound) =>
        error.Contains("not found", StringComparison.Ordinal) ? notFound(error) : new RuntaraException(code, error);
}
