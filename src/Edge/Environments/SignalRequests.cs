using Google.Protobuf;
using Runtara.Actors.Instances;
using Wire = Runtara.Protocol.Environments;

namespace Runtara.Edge.Environments;

/// <summary>
/// What callers want of an instance that exists: stop, resume and signals. Sources: environment-protocol §3.8, §3.9,
/// §3.12, §3.13 for the texts; semantics for what happens.
/// </summary>
internal sealed class SignalRequests(InstanceGate gate, EdgeOptions options)
{
    private const uint GraceSecondsDefault = 5;

    internal async ValueTask<Wire.RpcResponse> StopAsync(
        Wire.StopInstanceRequest r, CancellationToken cancellation)
    {
        var seconds = r.GracePeriodSeconds == 0 ? GraceSecondsDefault : r.GracePeriodSeconds;
        if (seconds > options.StopGraceMax.TotalSeconds)
        {
            return Stopped($"grace_period_seconds must be at most {options.StopGraceMax.TotalSeconds:0}, "
                + $"not {seconds} (edge.stop-grace-max)");
        }
        if (r.Reason.Length > options.ReasonLengthMax)
        {
            return Stopped($"reason must have at most {options.ReasonLengthMax} characters, not {r.Reason.Length} "
                + "(edge.reason-length-max)");
        }
        return Stopped(await AskAsync(
            new InstanceCommand.StopInstance(
                new(r.InstanceId), TimeSpan.FromSeconds(seconds), r.Reason.Length == 0 ? null : r.Reason),
            cancellation));
    }

    internal async ValueTask<Wire.RpcResponse> ResumeAsync(
        Wire.ResumeInstanceRequest r, CancellationToken cancellation)
    {
        var error = await AskAsync(new InstanceCommand.ResumeInstance(new(r.InstanceId)), cancellation);
        return new() { ResumeInstance = new() { Success = error.Length == 0, Error = error } };
    }

    internal async ValueTask<Wire.RpcResponse> SendAsync(Wire.SendSignalRequest r, CancellationToken cancellation)
    {
        var kind = (SignalKind)(int)r.SignalType;
        if (!Enum.IsDefined(kind))
            return Sent($"Unknown signal type: {(int)r.SignalType}");
        return Sent(TooLarge(r.Payload) ?? await AskAsync(
            new InstanceCommand.SendSignal(new(r.InstanceId), kind, r.Payload.Memory), cancellation));
    }

    internal async ValueTask<Wire.RpcResponse> SendCustomAsync(
        Wire.SendCustomSignalRequest r, CancellationToken cancellation)
    {
        var error = options.CheckKey(r.CheckpointId) ?? TooLarge(r.Payload) ?? ErrorOf(await gate.AskOnceAsync(
            new InstanceCommand.SendCustomSignal(
                new(r.InstanceId), r.CheckpointId, r.Payload.Memory, Guid.NewGuid()),
            "the signal may have been sent: look at the instance before sending it again", cancellation));
        return new() { SendCustomSignal = new() { Success = error.Length == 0, Error = error } };
    }

    private async ValueTask<string> AskAsync(InstanceCommand command, CancellationToken cancellation) =>
        ErrorOf(await gate.AskAsync(command, cancellation));

    private static string ErrorOf(InstanceReply reply) => reply is InstanceReply.Refused refused ? refused.Text : "";

    private string? TooLarge(ByteString payload) => payload.Length > options.SignalBytesMax
        ? $"payload has {payload.Length} bytes, the limit is {options.SignalBytesMax} (edge.signal-bytes-max)"
        : null;

    private static Wire.RpcResponse Stopped(string error) =>
        new() { StopInstance = new() { Success = error.Length == 0, Error = error } };

    private static Wire.RpcResponse Sent(string error) =>
        new() { SendSignal = new() { Success = error.Length == 0, Error = error } };
}
