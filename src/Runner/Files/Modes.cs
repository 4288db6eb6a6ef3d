namespace Runtara.Runner.Files;

/// <summary>File modes by what they are for.</summary>
internal static class Modes
{
    /// <summary>0755.</summary>
    internal const UnixFileMode Executable =
        Private | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead
        | UnixFileMode.OtherExecute;

    /// <summary>0700.</summary>
    internal const UnixFileMode Private =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
}
