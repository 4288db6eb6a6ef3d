using System.Text.Json;
using Runtara.Actors.Instances;
using Runtara.Runner.Files;

namespace Runtara.Runner.Containers;

/// <summary>Whose container this is; on disk in <c>launch.json</c>, for the next daemon.</summary>
internal sealed record LaunchNote(InstanceId Instance, TenantId Tenant, Attempt Attempt)
{
    internal string Container { get; } = PathNames.OfContainer(Instance.Value);

    internal byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string>
    {
        ["instance"] = Instance.Value,
        ["tenant"] = Tenant.Value,
        ["attempt"] = Attempt.Number.ToString(System.Globalization.CultureInfo.InvariantCulture),
    });

    internal static LaunchNote Parse(byte[] bytes)
    {
        var fields = JsonSerializer.Deserialize<Dictionary<string, string>>(bytes)!;
        return new LaunchNote(
            new InstanceId(fields["instance"]), new TenantId(fields["tenant"]),
            new Attempt(int.Parse(fields["attempt"], System.Globalization.CultureInfo.InvariantCulture)));
    }
}
