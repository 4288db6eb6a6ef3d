using Runtara.Protocol;
using Runtara.Protocol.Environments;
using Runtara.Quic;
using Response = Runtara.Protocol.Environments.RpcResponse.ResponseOneofCase;

namespace Runtara.Client;

/// <summary>One request under its deadline, with the retries that are safe.</summary>
internal sealed class Calls(ServerConnection connection, RuntaraClientOptions options)
{
    private const int TriesMax = 3;
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(100);

    /// <summary>For requests that may be carried out twice.</summary>
    internal Task<RpcResponse> ReadAsync(RpcRequest request, Response expected, CancellationToken ct) =>
        CallAsync(request, expected, TriesMax, TimeSpan.Zero, ct);

    /// <summary>For requests that may not: sent at most once.</summary>
    internal Task<RpcResponse> WriteAsync(RpcRequest request, Response expected, CancellationToken ct) =>
        CallAsync(request, expected, 1, TimeSpan.Zero, ct);

    /// <summary>As the other, for requests whose work takes time of its own.</summary>
    internal Task<RpcResponse> WriteAsync(
        RpcRequest request, Response expected, TimeSpan work, CancellationToken ct) =>
        CallAsync(request, expected, 1, work, ct);

    /// <summary>Whether the server says that nothing is wrong with the request and it may be sent again.</summary>
    internal static bool MayPass(RuntaraException refusal) =>
        refusal.Message.EndsWith(ErrorCodes.SafeToRepeat, StringComparison.Ordinal);

    internal static RequestTooLargeException TooLarge(RpcRequest request, FrameTooLargeException cause) => new(
        $"{request.RequestCase} takes {cause.PayloadBytes} bytes; a request may take {cause.PayloadBytesMax}.",
        cause);

    /// <exception cref="RuntaraException">The reply is an error, or another arm than expected.</exception>
    internal static RpcResponse Checked(RpcResponse reply, Response expected) => reply.ResponseCase switch
    {
        Response.Error => throw new RuntaraException(reply.Error.Code, reply.Error.Message),
        var arm when arm == expected => reply,
        var arm => throw new RuntaraException(
            "UNEXPECTED_REPLY",
            $"The server answered with {arm} instead of {expected}.",
            "Check that client and server speak the same protocol version."),
    };

    private async Task<RpcResponse> CallAsync(
        RpcRequest request, Response expected, int triesMax, TimeSpan work, CancellationToken ct)
    {
        var longest = options.RequestTimeout + options.ReplyMargin + work;
        RuntaraException? refusal = null;
        using var late = new CancellationTokenSource(longest, options.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, ct);
        try
        {
            for (var tries = 1; ; tries++)
            {
                try
                {
                    var quic = await connection.GetAsync(either.Token);
                    var reply = await ServerConnection.ExchangeAsync(quic, request, options.Time, either.Token);
                    return Checked(reply, expected);
                }
                catch (Exception broken) when (tries < triesMax && IsOutage(broken))
                {
                    refusal = broken as RuntaraException ?? refusal;
                    await Task.Delay(FirstDelay * Math.Pow(2, tries - 1), options.Time, either.Token);
                }
            }
        }
        catch (FrameTooLargeException large)
        {
            throw TooLarge(request, large);
        }
        catch (IOException broken)
        {
            throw Broken(request, triesMax, broken);
        }
        catch (OperationCanceledException canceled) when (late.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            // What the server said before is more than that it said nothing since.
            throw refusal ?? new RuntaraTimeoutException(
                $"No reply to {request.RequestCase} from {options.Server} in {longest}.",
                "Check the server's load and log, or raise RUNTARA_REQUEST_TIMEOUT_MS.",
                canceled);
        }
    }

    private static bool IsOutage(Exception failure) => failure is IOException or RuntaraConnectionException
        || (failure is RuntaraException refusal && MayPass(refusal));

    private RuntaraConnectionException Broken(RpcRequest request, int triesMax, IOException broken) => new(
        $"The connection to {options.Server} broke during {request.RequestCase}: {broken.Message}",
        triesMax > 1
            ? "Check that runtarad runs there, and try again."
            : "The request may or may not have been carried out: look before you repeat it.",
        broken);
}
