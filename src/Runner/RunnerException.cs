namespace Runtara.Runner;

/// <summary>A container could not be started or ended; the message is for the instance's error text.</summary>
internal class RunnerException(string message) : Exception(message);

/// <summary>The image itself is to blame: the same bytes can never be used.</summary>
internal sealed class BadImageException(string message) : RunnerException(message);
