using System.Text.Json;
using Runtara.Actors.Instances;
using Runtara.Runner.Files;

namespace Runtara.Runner.Containers;

/// <summary>Whose container this is; on disk in <c>launch.json</c>, for the next daemon.</summary>
/// <param name="Instance">The instance.</param>
/// <param name="Tenant">Its tenant.</param>
/// <param name="Attempt">Its attempt.</param>
/// <param name="ImageSha256">What it runs from; null in a note of a daemon that did not write it down.</param>
internal sealed record LaunchNote(InstanceId Instance, TenantId Tenant, Attempt Attempt, string? ImageSha256)
{
    private const string BootFile = "/proc/sys/kernel/random/boot_id";
    private static readonly string ThisBoot = File.Exists(BootFile) ? File.ReadAllText(BootFile).Trim() : "";

    /// <summary>
    /// In which run of the machine it was launched; null in a note of a daemon that did not write it down.
    /// </summary>
    internal string? Boot { get; private init; } = ThisBoot;

    /// <summary>Whether the machine has been restarted since the launch.</summary>
    internal bool IsOfEarlierBoot => Boot is not null && Boot != ThisBoot;

    internal string Container { get; } = PathNames.OfContainer(Instance.Value);

    internal byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string?>
    {
        ["instance"] = Instance.Value,
        ["tenant"] = Tenant.Value,
        ["attempt"] = Attempt.Number.ToString(System.Globalization.CultureInfo.InvariantCulture),
        ["image"] = ImageSha256,
        ["boot"] = Boot,
    });

    internal static LaunchNote Parse(byte[] bytes)
    {
        var fields = JsonSerializer.Deserialize<Dictionary<string, string>>(bytes)!;
        return new LaunchNote(
            new InstanceId(fields["instance"]), new TenantId(fields["tenant"]),
            new Attempt(int.Parse(fields["attempt"], System.Globalization.CultureInfo.InvariantCulture)),
            fields.GetValueOrDefault("image"))
        {
            Boot = fields.GetValueOrDefault("boot"),
        };
    }
}
