using System.Collections.Concurrent;
using Runtara.Actors.Instances;

namespace Runtara.Edge.Instances;

/// <summary>Where a workflow's requests come from, and what that proves.</summary>
public abstract class WorkflowOrigin
{
    /// <summary>The attempt that sends a request about this instance; null when it cannot be known.</summary>
    public abstract Attempt? AttemptOf(InstanceId instance);

    /// <summary>What is wrong with a request about this instance from here; null when nothing is.</summary>
    public abstract string? Refuses(InstanceId instance);

    /// <summary>The instance registered from here as this attempt.</summary>
    public abstract void Registered(InstanceId instance, Attempt attempt);

    /// <summary>The socket in the run directory of one attempt: it can only speak for that attempt (D7).</summary>
    public sealed class Socket(InstanceId instance, Attempt attempt) : WorkflowOrigin
    {
        /// <inheritdoc />
        public override Attempt? AttemptOf(InstanceId about) => attempt;

        /// <inheritdoc />
        public override string? Refuses(InstanceId about) => about == instance
            ? null
            : $"this socket speaks for instance '{instance}' only, not for '{about}'";

        /// <inheritdoc />
        public override void Registered(InstanceId about, Attempt registered)
        {
        }
    }

    /// <summary>
    /// A QUIC connection: anybody's, as in the reference. It speaks for the attempt that registered through it, and for
    /// whatever attempt is live when none did (a client that came back on a new connection does not register again).
    /// </summary>
    public sealed class Connection : WorkflowOrigin
    {
        private readonly ConcurrentDictionary<InstanceId, Attempt> _registered = new();

        /// <inheritdoc />
        public override Attempt? AttemptOf(InstanceId about) =>
            _registered.TryGetValue(about, out var attempt) ? attempt : null;

        /// <inheritdoc />
        public override string? Refuses(InstanceId about) => null;

        /// <inheritdoc />
        public override void Registered(InstanceId about, Attempt attempt) => _registered[about] = attempt;
    }
}
