using System.Text;
using Runtara.Actors.Instances;
using Runtara.Runner.Native;

namespace Runtara.Runner.Files;

/// <summary>A run directory on this node.</summary>
/// <param name="Tenant">The name of the tenant's directory.</param>
/// <param name="Name">The name of the run directory.</param>
/// <param name="Instance">Whose it is.</param>
public sealed record FoundRunDirectory(string Tenant, string Name, InstanceId Instance);

/// <summary>
/// Finds and removes the run directories of this node. It decides nothing: who calls says which are to go, and makes
/// sure that no attempt begins in them meanwhile. A directory is moved aside in one step, so that its name is free at
/// once, and emptied afterwards.
/// </summary>
/// <param name="dataDirectory">As <see cref="RunnerOptions.DataDirectory"/>.</param>
/// <param name="keptNames">As <see cref="RunnerOptions.KeptNames"/>.</param>
public sealed class RunDirectoryCleaner(string dataDirectory, IReadOnlyCollection<string> keptNames)
{
    private const string Runs = "runs";
    private const string Removed = "removed";
    private readonly string _data = Path.GetFullPath(dataDirectory);

    /// <summary>
    /// All run directories there are. One whose name does not tell its instance (its id is too long for a file name
    /// once escaped) is not among them and stays.
    /// </summary>
    public IEnumerable<FoundRunDirectory> Find()
    {
        foreach (var tenant in Directories(_data).Where(t => Directory.Exists(Path.Combine(_data, t, Runs))))
        {
            foreach (var name in Directories(Path.Combine(_data, tenant, Runs)))
            {
                if (PathNames.InstanceOf(name) is { } id)
                    yield return new FoundRunDirectory(tenant, name, new InstanceId(id));
            }
        }
    }

    /// <summary>Whether it lies where the run directories of this tenant do.</summary>
    public bool IsOf(FoundRunDirectory found, TenantId tenant) =>
        PathNames.OfTenant(tenant.Value, keptNames) == found.Tenant;

    /// <summary>Whether crun still knows a container of the instance.</summary>
    public bool HasContainer(FoundRunDirectory found) =>
        Directory.Exists(Path.Combine(_data, "crun", PathNames.OfContainer(found.Instance.Value)));

    /// <summary>
    /// Moves a run directory aside; false when it is gone already. Throws <see cref="IOException"/>.
    /// </summary>
    public bool MoveAside(FoundRunDirectory found)
    {
        using var tenant = DirectoryCalls.Open(Path.Combine(_data, found.Tenant));
        using var runs = DirectoryCalls.Open(tenant, Name(Runs));
        Directory.CreateDirectory(Path.Combine(_data, found.Tenant, Removed), Modes.Private);
        using var removed = DirectoryCalls.Open(tenant, Name(Removed));
        return DirectoryCalls.Move(runs, Name(found.Name), removed, TreeRemoval.Fresh());
    }

    /// <summary>
    /// Removes what was moved aside, now or before a crash. Throws <see cref="IOException"/> when it cannot.
    /// </summary>
    public void Empty(CancellationToken cancellation)
    {
        foreach (var tenant in Directories(_data).Where(t => Directory.Exists(Path.Combine(_data, t, Removed))))
        {
            using var parent = DirectoryCalls.Open(Path.Combine(_data, tenant));
            using var removed = DirectoryCalls.Open(parent, Name(Removed));
            TreeRemoval.Empty(removed, cancellation);
        }
    }

    private static IEnumerable<string> Directories(string path)
    {
        var options = new EnumerationOptions { AttributesToSkip = FileAttributes.ReparsePoint };
        return Directory.Exists(path)
            ? Directory.EnumerateDirectories(path, "*", options).Select(p => Path.GetFileName(p))
            : [];
    }

    private static byte[] Name(string text) => Encoding.UTF8.GetBytes(text + "\0");
}
