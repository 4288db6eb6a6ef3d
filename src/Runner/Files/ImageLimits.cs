namespace Runtara.Runner.Files;

/// <summary>What a root file system may be, so that a small upload cannot fill the node's disk.</summary>
/// <param name="UnpackedBytesMax">Bytes of the tar, decompressed.</param>
/// <param name="EntriesMax">Files, directories and links.</param>
internal sealed record ImageLimits(long UnpackedBytesMax, int EntriesMax);
