using System.Net;
using Microsoft.Extensions.Logging;

namespace Runtara.Edge;

internal static partial class Logs
{
    [LoggerMessage(Level = LogLevel.Information, Message = "listening for {Protocol} requests on {EndPoint} (QUIC)")]
    public static partial void Listening(this ILogger log, string protocol, IPEndPoint endPoint);

    [LoggerMessage(Level = LogLevel.Debug, Message = "a {Protocol} request could not be read: {Outcome} {Detail}")]
    public static partial void Unreadable(
        this ILogger log, string protocol, Protocol.FrameOutcome outcome, string? detail);

    [LoggerMessage(Level = LogLevel.Debug, Message = "a {Protocol} stream broke: {Reason}")]
    public static partial void StreamBroke(this ILogger log, string protocol, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "a {Protocol} reply was dropped: its reader does not take it")]
    public static partial void ReplyDropped(this ILogger log, string protocol);

    [LoggerMessage(Level = LogLevel.Error, Message = "a {Protocol} request failed")]
    public static partial void RequestFailed(this ILogger log, Exception cause, string protocol);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "an instance request that has no reply was not carried out: {Reason}")]
    public static partial void NotCarriedOut(this ILogger log, string reason);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "the socket of instance {InstanceId} cannot take a connection now; it tries again until it can")]
    public static partial void NotAccepted(this ILogger log, Exception cause, string instanceId);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Protocol} requests are not accepted any more")]
    public static partial void DoorFailed(this ILogger log, Exception cause, string protocol);
}
