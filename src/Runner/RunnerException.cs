namespace Runtara.Runner;

/// <summary>A container could not be started or ended; the message is for the instance's error text.</summary>
internal sealed class RunnerException(string message) : Exception(message);
