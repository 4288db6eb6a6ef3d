namespace Runtara.Quic;

/// <summary>The connection, or the attempt to make one, has failed.</summary>
public class QuicException : IOException
{
    public QuicException(string message, long errorCode = 0, Exception? inner = null) : base(message, inner) =>
        ErrorCode = errorCode;

    /// <summary>The QUIC error code: the peer's application code, a transport code (RFC 9000 §20.1; 0x100 + TLS alert
    /// for a refused handshake), or 0 when there is none.</summary>
    public long ErrorCode { get; }
}

/// <summary>This direction of the stream was aborted: by the peer's RESET_STREAM or by the local Abort.</summary>
public sealed class QuicStreamResetException : QuicException
{
    public QuicStreamResetException(long errorCode, string? message = null)
        : base(message ?? $"The stream was reset with code {errorCode}.", errorCode)
    {
    }
}

/// <summary>Who ended a connection.</summary>
public enum QuicCloseOrigin
{
    /// <summary>This side: CloseAsync, DisposeAsync, or a refused certificate.</summary>
    Local,

    /// <summary>The peer sent CONNECTION_CLOSE.</summary>
    Peer,

    /// <summary>The peer no longer knows the connection (stateless reset): it has restarted.</summary>
    PeerLost,

    /// <summary>Nothing was heard for the idle timeout, or the handshake took too long.</summary>
    Timeout,

    /// <summary>A protocol error seen on this side.</summary>
    ProtocolError,
}

/// <summary>How a connection ended.</summary>
/// <param name="Origin">Who ended it.</param>
/// <param name="IsApplication">Whether <paramref name="ErrorCode"/> is an application code, not a QUIC one.</param>
/// <param name="ErrorCode">The code given by whoever closed.</param>
/// <param name="Reason">The reason phrase given by whoever closed, or a description.</param>
public sealed record QuicClose(QuicCloseOrigin Origin, bool IsApplication, long ErrorCode, string Reason)
{
    internal QuicException ToException() => new(Origin switch
    {
        QuicCloseOrigin.Peer => $"The peer closed the connection with code 0x{ErrorCode:x}: {Reason}",
        QuicCloseOrigin.Local => $"The connection was closed on this side with code 0x{ErrorCode:x}: {Reason}",
        _ => $"The connection is lost: {Reason}",
    }, ErrorCode);
}
