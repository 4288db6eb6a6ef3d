using System.Collections.Concurrent;
using Runtara.Actors.Images;

namespace Runtara.Runner.Containers;

/// <summary>What images run, by id. An image never changes, so each is asked for once.</summary>
internal sealed class ImagePrograms(IImageStore images)
{
    private const int KeptMax = 1000;
    private readonly ConcurrentDictionary<ImageId, ImageProgram> _kept = new();

    internal async ValueTask<ImageProgram> FindAsync(ImageId id, CancellationToken cancellation)
    {
        if (_kept.TryGetValue(id, out var known))
            return known;
        var image = await images.FindAsync(id, cancellation)
            ?? throw new RunnerException($"Image '{id}' not found: it was deleted as the instance was started");
        var (program, problem) = ImageProgram.Read(image.Metadata);
        if (problem is not null)
            throw new RunnerException(problem);
        if (_kept.Count >= KeptMax)
            _kept.Clear();
        return _kept[id] = program;
    }
}
