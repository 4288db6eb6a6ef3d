using Runtara.Actors.Images;

namespace Runtara.Edge.Environments;

/// <summary>
/// Whether an upload can run: decided by its metadata and its first bytes, which are all that is kept of it here.
/// Images of runner types that no runner serves are taken as they are.
/// </summary>
internal sealed class ImageCheck(ImageRegistration registration)
{
    private readonly bool _isContainer = registration.RunnerType == RunnerType.Oci;
    private byte[] _start = [];
    private int _length;
    private bool _isChecked;
    private string? _problem;

    /// <summary>Whether further bytes change nothing.</summary>
    public bool HasSeenEnough => _length == ImageFormats.StartBytes;

    /// <summary>Which member of the metadata breaks which rule, or null.</summary>
    public string? MetadataProblem
    {
        get
        {
            if (!_isContainer)
                return null;
            var (program, problem) = ImageProgram.Read(registration.Metadata);
            var reserved = program.Environment.Keys.FirstOrDefault(EnvironmentRequests.ReservedVariables.Contains);
            return problem
                ?? (reserved is null ? null : $"metadata.env must not set {reserved}: the daemon sets it");
        }
    }

    /// <summary>Takes the next bytes of the upload.</summary>
    public void Add(ReadOnlyMemory<byte> bytes)
    {
        var some = bytes[..Math.Min(bytes.Length, ImageFormats.StartBytes - _length)];
        if (some.IsEmpty || !_isContainer)
            return;
        if (_start.Length < _length + some.Length)
            Array.Resize(ref _start, Math.Min(ImageFormats.StartBytes, Math.Max(_length + some.Length, _length * 2)));
        some.CopyTo(_start.AsMemory(_length));
        _length += some.Length;
    }

    /// <summary>What is wrong with the bytes, or null; the same answer again once it has seen enough.</summary>
    public string? BinaryProblem()
    {
        if (!_isContainer || _isChecked)
            return _problem;
        _isChecked = HasSeenEnough;
        _problem = ImageFormats.Check(_start.AsMemory(0, _length), out var format) ?? EntrypointProblem(format);
        return _problem;
    }

    private string? EntrypointProblem(ImageFormat format) =>
        format == ImageFormat.Executable
            && ImageProgram.Read(registration.Metadata).Program.Command[0] != ImageProgram.DefaultPath
            ? $"metadata.entrypoint is for a root file system: a static executable is {ImageProgram.DefaultPath}"
            : null;
}
