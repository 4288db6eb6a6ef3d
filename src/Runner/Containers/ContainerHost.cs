using Microsoft.Extensions.Logging;
using Runtara.Actors.Images;
using Runtara.Actors.Runners;
using Runtara.Runner.Files;

namespace Runtara.Runner.Containers;

/// <summary>What all containers of this node share.</summary>
internal sealed class ContainerHost
{
    internal ContainerHost(
        RunnerOptions options, IInstanceDoor door, IInstanceInputs inputs, IImageStore images, TimeProvider time,
        ILogger log)
    {
        (Door, Inputs, Time, Log) = (door, inputs, time, log);
        Data = Path.GetFullPath(options.DataDirectory);
        Options = options;
        Cgroups = Cgroups.Detect(options.CgroupManager, log);
        Crun = new Crun(options, Path.Combine(Data, "crun"), Cgroups.Manager, time, log);
        Images = new ImageCache(
            Path.Combine(Data, "images"), images,
            new ImageLimits(options.ImageUnpackedBytesMax, options.ImageEntriesMax), log);
        Programs = new ImagePrograms(images);
    }

    internal RunnerOptions Options { get; }

    internal string Data { get; }

    internal IInstanceDoor Door { get; }

    internal IInstanceInputs Inputs { get; }

    internal TimeProvider Time { get; }

    internal ILogger Log { get; }

    internal Cgroups Cgroups { get; }

    internal Crun Crun { get; }

    internal ImageCache Images { get; }

    internal ImagePrograms Programs { get; }

    /// <summary>Makes the directories and ends what an earlier daemon left.</summary>
    internal async Task SweepAsync()
    {
        Directory.CreateDirectory(Data);
        Directory.CreateDirectory(Path.Combine(Data, "crun"), Modes.Private);
        await Crun.SweepAsync();
    }
}
