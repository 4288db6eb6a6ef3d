using Akka.Actor;
using Runtara.Actors.Instances;

namespace Runtara.Edge;

/// <summary>An instance did not answer within the request's deadline. What it was asked may still happen.</summary>
public sealed class InstanceUnavailableException(InstanceId instance, TimeSpan waited) : Exception(
    $"Instance '{instance}' did not answer within {waited.TotalSeconds:0.#} s");

/// <summary>
/// The wait for an answer was given up, and a request sent again would be another one. A kind of cancellation, because
/// it is nothing more when the caller has gone.
/// </summary>
/// <param name="advice">What may have happened, and what the caller can do.</param>
/// <param name="cause">Why there was no answer.</param>
internal sealed class MayBeDoneException(string advice, Exception cause) : OperationCanceledException(advice, cause);

/// <summary>
/// The way from the edge to the instances: an Ask with deadline and retry. Every command may be asked again, because a
/// second one changes nothing; so a lost reply or a moving shard costs a moment and not an error.
/// </summary>
public sealed class InstanceGate(IActorRef region, EdgeOptions options, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(50);

    private readonly SemaphoreSlim _places = new(options.CommandsMax);

    /// <summary>
    /// Asks until there is an answer or the deadline has passed (<see cref="InstanceUnavailableException"/>).
    /// </summary>
    public ValueTask<InstanceReply> AskAsync(InstanceCommand command, CancellationToken cancellation) =>
        AskAsync(command, options.RequestTimeout, cancellation);

    /// <summary>
    /// Asks until there is an answer or this time has passed (<see cref="InstanceUnavailableException"/>).
    /// </summary>
    public async ValueTask<InstanceReply> AskAsync(
        InstanceCommand command, TimeSpan patience, CancellationToken cancellation)
    {
        // An id that the rule refuses was never stored, and must not reach an actor that is no instance.
        if (IdentifierRule.Check("instance_id", command.Instance.Value) is not null)
            return new InstanceReply.Refused(Refusal.NotFound, $"Instance '{command.Instance}' not found");
        var started = time.GetTimestamp();
        if (!await _places.WaitAsync(patience, cancellation))
            throw new InstanceUnavailableException(command.Instance, patience);
        try
        {
            while (true)
            {
                try
                {
                    return await region.Ask<InstanceReply>(command, options.AskTimeout, cancellation);
                }
                catch (AskTimeoutException) when (time.GetElapsedTime(started) < patience)
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

    /// <summary>
    /// The same for a request that would be carried out a second time if its caller sent it again: without an answer
    /// the caller gets the advice instead.
    /// </summary>
    internal async ValueTask<InstanceReply> AskOnceAsync(
        InstanceCommand command, string advice, CancellationToken cancellation)
    {
        try
        {
            return await AskAsync(command, cancellation);
        }
        catch (Exception e) when (e is InstanceUnavailableException or OperationCanceledException)
        {
            throw new MayBeDoneException(advice, e);
        }
    }

    /// <inheritdoc />
    public void Dispose() => _places.Dispose();
}
