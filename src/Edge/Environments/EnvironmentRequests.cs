using System.Collections.Immutable;
using System.IO.Pipelines;
using System.Reflection;
using System.Text;
using Google.Protobuf;
using Microsoft.Extensions.Logging;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Persistence;
using Runtara.Protocol;
using Wire = Runtara.Protocol.Environments;

namespace Runtara.Edge.Environments;

/// <summary>
/// The requests of the environment protocol: wire message in, wire message out. Sources: environment-protocol §3 for
/// texts and order of checks, semantics for everything that differs.
/// </summary>
public sealed class EnvironmentRequests(
    InstanceGate gate, Catalog catalog, IImageStore images, ICapabilityRunner capabilities, EdgeOptions options,
    TimeProvider time, ILogger log)
{
    internal static readonly ImmutableHashSet<string> ReservedVariables =
    [
        "RUNTARA_INSTANCE_ID", "RUNTARA_TENANT_ID", "RUNTARA_SERVER_ADDR", "RUNTARA_CHECKPOINT_ID", "RUNTARA_ATTEMPT",
        "RUNTARA_SOCKET",
    ];

    private static readonly TimeSpan CountWithin = TimeSpan.FromSeconds(5);

    private static readonly ReadOnlyMemory<byte> EmptyInput = "{}"u8.ToArray();

    private readonly ImageRequests _images = new(images, options, time);
    private readonly QueryRequests _queries = new(catalog, options, time);
    private readonly AgentRequests _agents = new(catalog.Agents, capabilities, options);
    private readonly SignalRequests _signals = new(gate, options);
    private readonly long _started = time.GetTimestamp();

    /// <summary>The version that a health check reports.</summary>
    public static string Version { get; } =
        typeof(EnvironmentRequests).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!
            .InformationalVersion.Split('+')[0];

    /// <summary>Carries out a request that came whole in its frame.</summary>
    public async ValueTask<Wire.RpcResponse> HandleAsync(Wire.RpcRequest request, CancellationToken cancellation)
    {
        // How long bytes take to be stored, or a program to run, depends on them.
        var isLong = request.RequestCase is Wire.RpcRequest.RequestOneofCase.RegisterImage
            or Wire.RpcRequest.RequestOneofCase.TestCapability;
        using var deadline = new Deadline(isLong ? null : options.RequestTimeout, catalog, cancellation)
        {
            IsQuery = IsQuery(request.RequestCase),
        };
        try
        {
            return await DispatchAsync(request, deadline.Token);
        }
        catch (Exception e) when (deadline.TextOf(e) is { } text)
        {
            return Error(CodeOf(request.RequestCase), text);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            log.RequestFailed(e, "environment");
            return Error(CodeOf(request.RequestCase), Deadline.Unexpected);
        }
    }

    /// <summary>Carries out an upload: the image's bytes follow the frame until FIN.</summary>
    public async ValueTask<Wire.RpcResponse> RegisterStreamAsync(
        Wire.RegisterImageStreamStart start, PipeReader input, CancellationToken cancellation)
    {
        using var deadline = new Deadline(null, catalog, cancellation);
        try
        {
            return await _images.RegisterStreamAsync(start, input, deadline.Token);
        }
        catch (Exception e)
            when (e is System.Data.Common.DbException or TimeoutException or StoreUnavailableException
                && deadline.TextOf(e) is { } text)
        {
            return Error(ErrorCodes.RegisterImageStream, text);
        }
        catch (Exception e) when (e is not (IOException or OperationCanceledException)
            && !cancellation.IsCancellationRequested)
        {
            log.RequestFailed(e, "environment");
            return Error(ErrorCodes.RegisterImageStream, Deadline.Unexpected);
        }
    }

    private static bool IsQuery(Wire.RpcRequest.RequestOneofCase request) => request
        is Wire.RpcRequest.RequestOneofCase.ListInstances or Wire.RpcRequest.RequestOneofCase.ListImages
        or Wire.RpcRequest.RequestOneofCase.ListCheckpoints or Wire.RpcRequest.RequestOneofCase.ListEvents
        or Wire.RpcRequest.RequestOneofCase.GetTenantMetrics;

    private ValueTask<Wire.RpcResponse> DispatchAsync(Wire.RpcRequest r, CancellationToken cancellation) =>
        r.RequestCase switch
        {
            Wire.RpcRequest.RequestOneofCase.HealthCheck => HealthAsync(cancellation),
            Wire.RpcRequest.RequestOneofCase.RegisterImage => _images.RegisterAsync(r.RegisterImage, cancellation),
            Wire.RpcRequest.RequestOneofCase.ListImages => _images.ListAsync(r.ListImages, cancellation),
            Wire.RpcRequest.RequestOneofCase.GetImage => _images.GetAsync(r.GetImage, cancellation),
            Wire.RpcRequest.RequestOneofCase.DeleteImage => _images.DeleteAsync(r.DeleteImage, cancellation),
            Wire.RpcRequest.RequestOneofCase.StartInstance => StartAsync(r.StartInstance, cancellation),
            Wire.RpcRequest.RequestOneofCase.StopInstance => _signals.StopAsync(r.StopInstance, cancellation),
            Wire.RpcRequest.RequestOneofCase.ResumeInstance => _signals.ResumeAsync(r.ResumeInstance, cancellation),
            Wire.RpcRequest.RequestOneofCase.SendSignal => _signals.SendAsync(r.SendSignal, cancellation),
            Wire.RpcRequest.RequestOneofCase.SendCustomSignal =>
                _signals.SendCustomAsync(r.SendCustomSignal, cancellation),
            Wire.RpcRequest.RequestOneofCase.GetInstanceStatus => StatusAsync(r.GetInstanceStatus, cancellation),
            Wire.RpcRequest.RequestOneofCase.ListInstances => ListAsync(r.ListInstances, cancellation),
            Wire.RpcRequest.RequestOneofCase.ListCheckpoints =>
                _queries.ListCheckpointsAsync(r.ListCheckpoints, cancellation),
            Wire.RpcRequest.RequestOneofCase.GetCheckpoint =>
                _queries.GetCheckpointAsync(r.GetCheckpoint, cancellation),
            Wire.RpcRequest.RequestOneofCase.ListEvents => _queries.ListEventsAsync(r.ListEvents, cancellation),
            Wire.RpcRequest.RequestOneofCase.GetTenantMetrics =>
                _queries.GetTenantMetricsAsync(r.GetTenantMetrics, cancellation),
            Wire.RpcRequest.RequestOneofCase.TestCapability => _agents.TestAsync(r.TestCapability, cancellation),
            Wire.RpcRequest.RequestOneofCase.ListAgents => _agents.ListAsync(r.ListAgents, cancellation),
            Wire.RpcRequest.RequestOneofCase.GetCapability => _agents.GetAsync(r.GetCapability, cancellation),
            _ => ValueTask.FromResult(Error(ErrorCodes.EmptyRequest, "RpcRequest contained no request")),
        };

    private async ValueTask<Wire.RpcResponse> HealthAsync(CancellationToken cancellation)
    {
        var healthy = await catalog.PingAsync(cancellation);
        var active = 0;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(CountWithin);
        try
        {
            active = healthy ? await catalog.CountActiveAsync(patience.Token) : 0;
        }
        // The database went away in between.
        catch (Exception e) when (!cancellation.IsCancellationRequested
            && e is System.Data.Common.DbException or OperationCanceledException)
        {
            healthy = false;
        }
        return new()
        {
            HealthCheck = new()
            {
                Healthy = healthy,
                Version = Version,
                UptimeMs = (long)time.GetElapsedTime(_started).TotalMilliseconds,
                ActiveInstances = (uint)active,
            },
        };
    }

    private async ValueTask<Wire.RpcResponse> StartAsync(Wire.StartInstanceRequest r, CancellationToken cancellation)
    {
        if (r.ImageId.Length == 0)
            return Started("image_id is required");
        var image = await images.FindAsync(new(r.ImageId), cancellation);
        if (image is null || image.Tenant.Value != r.TenantId)
        {
            return await IsRepeatedAsync(r, cancellation)
                ? Accepted(r.InstanceId)
                : Started($"Image '{r.ImageId}' not found");
        }
        if (image.RunnerType != RunnerType.Oci)
            return Started($"Image '{r.ImageId}' has no bundle");
        var id = r.InstanceId.Length > 0 ? r.InstanceId : Guid.NewGuid().ToString();
        if (Check(r, id) is { } wrong)
            return Started(wrong);
        var input = InputOf(r);
        var seconds = r.HasTimeoutSeconds ? r.TimeoutSeconds : 300;
        var start = new InstanceCommand.Start(
            new(id), image.Tenant, image.Id, image.Name, image.Sha256, input, TimeSpan.FromSeconds(seconds),
            r.Env.ToImmutableSortedDictionary(StringComparer.Ordinal));
        var reply = r.InstanceId.Length > 0
            ? await gate.AskAsync(start, cancellation)
            : await gate.AskOnceAsync(
                start,
                "an instance may have been started: look at the list before sending it again; with an instance_id it "
                + "could be repeated",
                cancellation);
        return reply is InstanceReply.Refused refused ? Started(refused.Text) : Accepted(id);
    }

    private static ReadOnlyMemory<byte> InputOf(Wire.StartInstanceRequest r) =>
        ImageRequests.IsJson(r.Input.Span) ? r.Input.Memory : EmptyInput;

    // The image of an instance that has ended may be gone; the same start again is no other for that.
    private async ValueTask<bool> IsRepeatedAsync(Wire.StartInstanceRequest r, CancellationToken cancellation) =>
        IdentifierRule.Check("instance_id", r.InstanceId) is null
        && await catalog.FindInstanceAsync(new(r.InstanceId), cancellation) is { Input: { } input } row
        && row.Tenant.Value == r.TenantId && row.Image?.Value == r.ImageId
        && input.Span.SequenceEqual(InputOf(r).Span);

    private static Wire.RpcResponse Accepted(string id) =>
        new() { StartInstance = new() { Success = true, InstanceId = id } };

    private string? Check(Wire.StartInstanceRequest r, string instanceId)
    {
        if (IdentifierRule.Check("instance_id", instanceId) is { } wrong)
            return wrong;
        if (r.Input.Length > options.InputBytesMax)
            return $"input has {r.Input.Length} bytes, the limit is {options.InputBytesMax} (edge.input-bytes-max)";
        if (r is { HasTimeoutSeconds: true, TimeoutSeconds: 0 })
            return "timeout_seconds must be at least 1";
        var characters = r.Env.Sum(v => (long)v.Key.Length + v.Value.Length);
        if (characters > ImageProgram.CharactersMax)
            return $"env has {characters} characters, the limit is {ImageProgram.CharactersMax}";
        foreach (var (name, value) in r.Env)
        {
            if (ReservedVariables.Contains(name))
                return $"env must not set {name}: the daemon sets it";
            if (name.Length == 0 || name.Contains('=') || name.Contains('\0') || value.Contains('\0'))
                return $"env has the variable '{name}': a name is not empty and has no '=', and nothing has a NUL";
        }
        return null;
    }

    private static Wire.RpcResponse Started(string error) => new() { StartInstance = new() { Error = error } };

    private async ValueTask<Wire.RpcResponse> StatusAsync(
        Wire.GetInstanceStatusRequest r, CancellationToken cancellation)
    {
        var row = await catalog.FindInstanceAsync(new(r.InstanceId), cancellation);
        if (row is null)
        {
            return new()
            {
                GetInstanceStatus = new()
                {
                    InstanceId = r.InstanceId,
                    Error = $"Instance '{r.InstanceId}' not found",
                },
            };
        }
        var status = ToWire(row);
        if (row.Status == InstanceStatus.Running
            && await gate.AskAsync(new InstanceCommand.GetPresence(row.Id), cancellation)
                is InstanceReply.LastHeard { HeartbeatAt: { } heartbeatAt })
            status.HeartbeatAtMs = heartbeatAt.ToUnixTimeMilliseconds();
        return new() { GetInstanceStatus = Fitting(status) };
    }

    // What does not fit into a frame is left out: the input first, which whoever started the instance has.
    private Wire.GetInstanceStatusResponse Fitting(Wire.GetInstanceStatusResponse status)
    {
        var bytesMax = options.Frames.PayloadBytesMax - Replies.Reserve;
        if (status.CalculateSize() > bytesMax)
            status.ClearInput();
        if (status.HasOutput && status.CalculateSize() > bytesMax)
        {
            status.Error = Replies.OutputLeftOut(status.Output.Length);
            status.ClearOutput();
        }
        return status;
    }

    private static Wire.GetInstanceStatusResponse ToWire(InstanceRow row)
    {
        var status = new Wire.GetInstanceStatusResponse
        {
            Found = true,
            InstanceId = row.Id.Value,
            Status = (Wire.InstanceStatus)(int)row.Status,
            CreatedAtMs = row.CreatedAt.ToUnixTimeMilliseconds(),
            ImageId = row.Image?.Value ?? "",
            ImageName = row.ImageName ?? "",
            TenantId = row.Tenant.Value,
            RetryCount = (uint)row.RetryCount,
            MaxRetries = (uint)row.MaxRetries,
        };
        Set(row.CheckpointId, v => status.CheckpointId = v);
        Set(row.StartedAt, v => status.StartedAtMs = v.ToUnixTimeMilliseconds());
        Set(row.FinishedAt, v => status.FinishedAtMs = v.ToUnixTimeMilliseconds());
        Set(row.Output, v => status.Output = UnsafeByteOperations.UnsafeWrap(v));
        Set(row.Error, v => status.Error = v);
        Set(row.Input, v => status.Input = UnsafeByteOperations.UnsafeWrap(v));
        Set(row.MemoryPeakBytes, v => status.MemoryPeakBytes = (ulong)v);
        Set(row.CpuMicroseconds, v => status.CpuUsageUsec = (ulong)v);
        Set(row.Stderr, v => status.Stderr = v);
        return status;
    }

    private static void Set<T>(T? value, Action<T> set)
        where T : class
    {
        if (value is not null)
            set(value);
    }

    private static void Set<T>(T? value, Action<T> set)
        where T : struct
    {
        if (value is { } present)
            set(present);
    }

    private async ValueTask<Wire.RpcResponse> ListAsync(Wire.ListInstancesRequest r, CancellationToken cancellation)
    {
        var status = (InstanceStatus)(int)r.Status;
        var (rows, total) = await catalog.ListInstancesAsync(
            new InstanceFilter
            {
                Tenant = r.HasTenantId ? new TenantId(r.TenantId) : null,
                Status = r.HasStatus && status != InstanceStatus.Unknown && Enum.IsDefined(status) ? status : null,
                Limit = Paging.Limit(r.Limit, options.PageMax),
                Offset = Paging.Offset(r.Offset),
                Image = r is { HasImageId: true, ImageId.Length: > 0 } ? new ImageId(r.ImageId) : null,
                CreatedAfter = r.HasCreatedAfterMs ? Timestamps.NearestOfUnixMs(r.CreatedAfterMs) : null,
                CreatedBefore = r.HasCreatedBeforeMs ? Timestamps.NearestOfUnixMs(r.CreatedBeforeMs) : null,
                FinishedAfter = r.HasFinishedAfterMs ? Timestamps.NearestOfUnixMs(r.FinishedAfterMs) : null,
                FinishedBefore = r.HasFinishedBeforeMs ? Timestamps.NearestOfUnixMs(r.FinishedBeforeMs) : null,
                Order = r.OrderBy switch
                {
                    "created_at_asc" => InstanceOrder.CreatedAtAscending,
                    "finished_at_asc" => InstanceOrder.FinishedAtAscending,
                    "finished_at_desc" => InstanceOrder.FinishedAtDescending,
                    _ => InstanceOrder.CreatedAtDescending,
                },
                ImageNamePrefix = r.HasImageNamePrefix ? r.ImageNamePrefix : null,
            },
            cancellation);
        var list = new Wire.ListInstancesResponse { TotalCount = (uint)total };
        list.Instances.AddRange(Replies.Fitting(rows.Select(Summary), options));
        return new() { ListInstances = list };
    }

    private static Wire.InstanceSummary Summary(InstanceSummaryRow row)
    {
        var summary = new Wire.InstanceSummary
        {
            InstanceId = row.Id.Value,
            TenantId = row.Tenant.Value,
            ImageId = row.Image?.Value ?? "",
            Status = (Wire.InstanceStatus)(int)row.Status,
            CreatedAtMs = row.CreatedAt.ToUnixTimeMilliseconds(),
            HasError = row.HasError,
        };
        Set(row.StartedAt, v => summary.StartedAtMs = v.ToUnixTimeMilliseconds());
        Set(row.FinishedAt, v => summary.FinishedAtMs = v.ToUnixTimeMilliseconds());
        return summary;
    }

    internal static Wire.RpcResponse Error(string code, string message) =>
        new() { Error = new() { Code = code, Message = message } };

    internal static string CodeOf(Wire.RpcRequest.RequestOneofCase request) => request switch
    {
        Wire.RpcRequest.RequestOneofCase.HealthCheck => ErrorCodes.HealthCheck,
        Wire.RpcRequest.RequestOneofCase.RegisterImage => ErrorCodes.RegisterImage,
        Wire.RpcRequest.RequestOneofCase.RegisterImageStream => ErrorCodes.RegisterImageStream,
        Wire.RpcRequest.RequestOneofCase.ListImages => ErrorCodes.ListImages,
        Wire.RpcRequest.RequestOneofCase.GetImage => ErrorCodes.GetImage,
        Wire.RpcRequest.RequestOneofCase.DeleteImage => ErrorCodes.DeleteImage,
        Wire.RpcRequest.RequestOneofCase.StartInstance => ErrorCodes.StartInstance,
        Wire.RpcRequest.RequestOneofCase.StopInstance => ErrorCodes.StopInstance,
        Wire.RpcRequest.RequestOneofCase.ResumeInstance => ErrorCodes.ResumeInstance,
        Wire.RpcRequest.RequestOneofCase.SendSignal => ErrorCodes.SendSignal,
        Wire.RpcRequest.RequestOneofCase.SendCustomSignal => ErrorCodes.SendCustomSignal,
        Wire.RpcRequest.RequestOneofCase.GetInstanceStatus => ErrorCodes.GetInstanceStatus,
        Wire.RpcRequest.RequestOneofCase.ListCheckpoints => ErrorCodes.ListCheckpoints,
        Wire.RpcRequest.RequestOneofCase.GetCheckpoint => ErrorCodes.GetCheckpoint,
        Wire.RpcRequest.RequestOneofCase.ListEvents => ErrorCodes.ListEvents,
        Wire.RpcRequest.RequestOneofCase.GetTenantMetrics => ErrorCodes.GetTenantMetrics,
        Wire.RpcRequest.RequestOneofCase.TestCapability => ErrorCodes.TestCapability,
        Wire.RpcRequest.RequestOneofCase.ListAgents => ErrorCodes.ListAgents,
        Wire.RpcRequest.RequestOneofCase.GetCapability => ErrorCodes.GetCapability,
        _ => ErrorCodes.ListInstances,
    };
}
