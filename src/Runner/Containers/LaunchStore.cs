using System.Collections.Concurrent;
using Runtara.Runner.Files;

namespace Runtara.Runner.Containers;

/// <summary>
/// The directories of launches, <c>launches/{container}/</c>. One that is done with is emptied and becomes that of a
/// later launch: ext4 passes over the inodes that were freed in the last minutes, one by one, so that with seven files
/// made and removed for each container it looks for free inodes longer than crun works.
/// </summary>
internal sealed class LaunchStore(string data)
{
    private const int SparesMax = 64;
    private readonly ConcurrentBag<string> _spares = [];
    private int _number;

    /// <summary>Above the directories; the supervisor's program is here too.</summary>
    internal string Root { get; } = Path.Combine(data, "launches");

    private string Spares => Path.Combine(Root, ".spare");

    /// <summary>Makes the directories. Spares of an earlier daemon are gone.</summary>
    internal void Prepare()
    {
        Directory.CreateDirectory(Root, Modes.Private);
        if (Directory.Exists(Spares))
            Directory.Delete(Spares, recursive: true);
        Directory.CreateDirectory(Spares, Modes.Private);
    }

    internal LaunchFiles Of(string container) => new(Path.Combine(Root, container));

    /// <summary>All that are on disk.</summary>
    internal IReadOnlyList<LaunchFiles> All() =>
        [.. Directory.GetDirectories(Root).Where(d => d != Spares).Select(d => new LaunchFiles(d))];

    /// <summary>The files of a new launch; those of an earlier one are gone.</summary>
    internal LaunchFiles Create(LaunchNote note)
    {
        var files = Of(note.Container);
        Discard(files);
        if (_spares.TryTake(out var spare))
            Directory.Move(spare, files.Bundle);
        else
            Directory.CreateDirectory(files.Bundle, Modes.Private);
        files.WriteNote(note);
        return files;
    }

    /// <summary>Forgets a launch of which nothing runs. A directory that is locked all the same is not used again.
    /// </summary>
    internal void Discard(LaunchFiles files)
    {
        if (!Directory.Exists(files.Bundle))
            return;
        if (files.IsLocked() || !files.TryEmpty() || _spares.Count >= SparesMax)
        {
            Directory.Delete(files.Bundle, recursive: true);
            return;
        }
        var spare = Path.Combine(Spares, Interlocked.Increment(ref _number).ToString());
        Directory.Move(files.Bundle, spare);
        _spares.Add(spare);
    }
}
