using Akka.Actor;
using Runtara.Actors.Instances;

namespace Runtara.Edge;

/// <summary>An instance did not answer within the request's deadline. What it was asked may still happen.</summary>
public sealed class InstanceUnavailableException(InstanceId instance, TimeSpan waited) : Exception(
    $"Instance '{instance}' did not answer within {waited.TotalSeconds:0.#} s");

/// <summary>
/// The way from the edge to the instances: an Ask with deadline and retry. Every command may be sent again, because a
/// second one changes nothing; so a lost reply or a moving shard costs a moment and not an error.
/// </summary>
public sealed class InstanceGate(IActorRef region, EdgeOptions options, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(50);

    private readonly SemaphoreSlim _places = new(options.CommandsMax);

    /// <summary>
    /// Asks until there is an answer or the deadline has passed (<see cref="InstanceUnavailableException"/>).
    /// </summary>
    public async ValueTask<InstanceReply> AskAsync(InstanceCommand command, CancellationToken cancellation)
    {
        // An id that the rule refuses was never stored, and must not reach an actor that is no instance.
        if (IdentifierRule.Check("instance_id", command.Instance.Value) is not null)
            return new InstanceReply.Refused(Refusal.NotFound, $"Instance '{command.Instance}' not found");
        var started = time.GetTimestamp();
        if (!await _places.WaitAsync(options.RequestTimeout, cancellation))
            throw new InstanceUnavailableException(command.Instance, options.RequestTimeout);
        try
        {
            while (true)
            {
                try
                {
                    return await region.Ask<InstanceReply>(command, options.AskTimeout, cancellation);
                }
                catch (AskTimeoutException) when (time.GetElapsedTime(started) < options.RequestTimeout)
                {
                    await Task.Delay(RetryPause * (0.5 + Random.Shared.NextDouble()), time, cancellation);
                }
                catch (AskTimeoutException)
                {
                    throw new InstanceUnavailableException(command.Instance, time.GetElapsedTime(started));
                }
            }
        }
        finally
        {
            _places.Release();
        }
    }

    /// <inheritdoc />
    public void Dispose() => _places.Dispose();
}
