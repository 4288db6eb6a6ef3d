using System.Collections.Concurrent;
using Runtara.Actors.Images;
using Runtara.Actors.Instances;
using Runtara.Persistence;

namespace Runtara.Edge.Environments;

/// <summary>
/// Which image provides which agent: the newest current registration of those that the asker may see. The catalog says
/// which images there are, every time; what one says is read and parsed once, because an image never changes.
/// </summary>
internal sealed class AgentIndex(AgentImages images)
{
    /// <summary>Its images are everybody's.</summary>
    public static readonly TenantId System = new("__system__");

    private const long KeptBytesMax = 64 << 20;

    private readonly ConcurrentDictionary<ImageId, IReadOnlyList<Agent>> _parsed = new();
    private long _keptBytes;

    /// <summary>
    /// The agents with at least one capability that a tenant sees (its own and the system's; null means all there
    /// are), each with the image that provides it, ordered by id.
    /// </summary>
    public async ValueTask<IReadOnlyList<(Agent Agent, AgentImage Image)>> ListAsync(
        TenantId? tenant, CancellationToken cancellation)
    {
        var seen = new SortedDictionary<string, (Agent, AgentImage)>(StringComparer.OrdinalIgnoreCase);
        var current = tenant is { } own
            ? await images.ListAsync(own, System, cancellation)
            : await images.ListAsync(cancellation);
        var agents = await AgentsOfAsync(current, cancellation);
        foreach (var image in current)
        {
            foreach (var agent in agents.GetValueOrDefault(image.Id, []).Where(a => a.Inputs.Count > 0))
                seen.TryAdd(agent.Id, (agent, image));
        }
        return [.. seen.Values];
    }

    /// <summary>One of <see cref="ListAsync"/>; null when there is none.</summary>
    public async ValueTask<(Agent Agent, AgentImage Image)?> FindAsync(
        TenantId? tenant, string agentId, CancellationToken cancellation)
    {
        foreach (var entry in await ListAsync(tenant, cancellation))
        {
            if (string.Equals(entry.Agent.Id, agentId, StringComparison.OrdinalIgnoreCase))
                return entry;
        }
        return null;
    }

    private async ValueTask<Dictionary<ImageId, IReadOnlyList<Agent>>> AgentsOfAsync(
        IReadOnlyList<AgentImage> current, CancellationToken cancellation)
    {
        var agents = new Dictionary<ImageId, IReadOnlyList<Agent>>();
        var unknown = new List<ImageId>();
        foreach (var image in current)
        {
            if (_parsed.TryGetValue(image.Id, out var parsed))
                agents[image.Id] = parsed;
            else
                unknown.Add(image.Id);
        }
        foreach (var (id, metadata) in await images.ReadMetadataAsync(unknown, cancellation))
        {
            // Metadata that came before agents were looked for may have anything: what is wrong provides none.
            agents[id] = AgentMetadata.Read(metadata).Agents;
            Keep(id, agents[id]);
        }
        return agents;
    }

    private void Keep(ImageId id, IReadOnlyList<Agent> agents)
    {
        const int overhead = 200;
        if (Interlocked.Add(ref _keptBytes, overhead + agents.Sum(a => a.Bytes)) > KeptBytesMax)
        {
            _parsed.Clear();
            Interlocked.Exchange(ref _keptBytes, 0);
            return;
        }
        _parsed[id] = agents;
    }
}
