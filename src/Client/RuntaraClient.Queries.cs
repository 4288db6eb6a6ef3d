using Runtara.Protocol.Environments;
using Response = Runtara.Protocol.Environments.RpcResponse.ResponseOneofCase;

namespace Runtara.Client;

// What instances have done.
public sealed partial class RuntaraClient
{
    /// <summary>Checkpoints of an instance, newest first, without their bytes. An unknown instance has none.</summary>
    /// <param name="filter">Which.</param>
    /// <param name="ct">Ends the wait.</param>
    public async Task<ListCheckpointsResult> ListCheckpointsAsync(
        CheckpointFilter filter, CancellationToken ct = default)
    {
        var reply = await _calls.ReadAsync(
            new RpcRequest { ListCheckpoints = filter.ToWire() }, Response.ListCheckpoints, ct);
        return reply.ListCheckpoints.ToModel();
    }

    /// <summary>One checkpoint with its bytes; null when there is none.</summary>
    /// <param name="instanceId">Id of the instance.</param>
    /// <param name="checkpointId">Key of the checkpoint.</param>
    /// <param name="ct">Ends the wait.</param>
    public async Task<Checkpoint?> GetCheckpointAsync(
        string instanceId, string checkpointId, CancellationToken ct = default)
    {
        var get = new GetCheckpointRequest { InstanceId = instanceId, CheckpointId = checkpointId };
        var reply = await _calls.ReadAsync(new RpcRequest { GetCheckpoint = get }, Response.GetCheckpoint, ct);
        return reply.GetCheckpoint.Found ? reply.GetCheckpoint.ToModel() : null;
    }

    /// <summary>Events of an instance, newest first. An unknown instance has none.</summary>
    /// <param name="filter">Which.</param>
    /// <param name="ct">Ends the wait.</param>
    public async Task<ListEventsResult> ListEventsAsync(EventFilter filter, CancellationToken ct = default)
    {
        var reply = await _calls.ReadAsync(new RpcRequest { ListEvents = filter.ToWire() }, Response.ListEvents, ct);
        return reply.ListEvents.ToModel();
    }

    /// <summary>Counts, durations and memory of a tenant's instances, by the hour or day in which they ended.</summary>
    /// <param name="query">Whose, and when.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="RuntaraException">No tenant, or more buckets than the server allows; code
    /// <c>GET_TENANT_METRICS_ERROR</c>.</exception>
    public async Task<TenantMetrics> GetTenantMetricsAsync(MetricsQuery query, CancellationToken ct = default)
    {
        var reply = await _calls.ReadAsync(
            new RpcRequest { GetTenantMetrics = query.ToWire() }, Response.GetTenantMetrics, ct);
        return reply.GetTenantMetrics.ToModel();
    }
}
