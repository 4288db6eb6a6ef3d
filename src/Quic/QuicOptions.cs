using System.Net;

namespace Runtara.Quic;

/// <summary>The sender's congestion control.</summary>
public enum QuicCongestionControl
{
    /// <summary>NewReno (RFC 9002).</summary>
    Reno = 0,

    /// <summary>CUBIC (RFC 9438), the default.</summary>
    Cubic = 1,

    /// <summary>BBR v2: several times faster than CUBIC on lossy links.</summary>
    Bbr = 2,
}

/// <summary>How a <see cref="QuicListener"/> serves.</summary>
public sealed record QuicServerOptions
{
    private const int UnreadDefault = 8 << 10, StreamWindowDefault = 1_250_000, WindowDefault = 20 << 20;

    /// <summary>Address and UDP port to bind; port 0 takes a free one.</summary>
    public required IPEndPoint Listen { get; init; }

    /// <summary>Certificate and key shown to every client.</summary>
    public required QuicCertificate Certificate { get; init; }

    /// <summary>Protocols that may be selected. A client that offers none is served; one that offers only others is
    /// refused with TLS alert 120. Empty: whatever a client offers is ignored.</summary>
    public IReadOnlyList<string> Alpn { get; init; } = ["runtara"];

    /// <summary>A connection silent for this long is dropped. Default 120 s; QUIC uses the smaller of both
    /// sides.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>A PING is sent after this much silence. Default 15 s; zero sends none.</summary>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>A handshake that takes longer is dropped. Default 10 s.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Streams that one client may have open at once. Default 1000.</summary>
    public int MaxBidirectionalStreams { get; init; } = 1000;

    /// <summary>Bytes that a peer may send on one stream ahead of the reader. Default 1,250,000.</summary>
    public int StreamWindowBytes { get; init; } = StreamWindowDefault;

    /// <summary>Bytes that a peer may send on a stream of its own before anything of it was read; from then on it is
    /// <see cref="StreamWindowBytes"/>, unless that is less. Default 8 KiB: as many streams as may be open do not fill
    /// the connection's window while nobody reads them, so those that are read go on.</summary>
    public int UnreadStreamBytes { get; init; } = UnreadDefault;

    /// <summary>Bytes that a peer may send on one connection ahead of the readers. Default 20 MiB; see
    /// <see cref="WindowFor"/>.</summary>
    public int ConnectionWindowBytes { get; init; } = WindowDefault;

    /// <summary>Unfinished handshakes kept at once; more are dropped unanswered. Default 10,000.</summary>
    public int MaxPendingHandshakes { get; init; } = 10_000;

    /// <summary>From this many unfinished handshakes on, a client must prove its address first (Retry packet).
    /// Default 500; 0 always asks.</summary>
    public int RetryAboveHalfOpen { get; init; } = 500;

    /// <summary>Connections kept at once; more are refused with CONNECTION_REFUSED. Default 65,536.</summary>
    public int MaxConnections { get; init; } = 65_536;

    /// <summary>SO_RCVBUF in bytes, capped by net.core.rmem_max. Default 2 MiB; 0 leaves the system's.</summary>
    public int SocketReceiveBufferBytes { get; init; } = 2 << 20;

    /// <summary>SO_SNDBUF in bytes, capped by net.core.wmem_max. Default 2 MiB; 0 leaves the system's.</summary>
    public int SocketSendBufferBytes { get; init; } = 2 << 20;

    /// <summary>Default CUBIC.</summary>
    public QuicCongestionControl CongestionControl { get; init; } = QuicCongestionControl.Cubic;

    /// <summary>A connection window in which so many streams that nobody reads leave room for one that is read. The
    /// peer hears of a wider window when half of it was read.</summary>
    public static int WindowFor(int streams) =>
        (int)Math.Clamp(2 * ((long)streams * UnreadDefault + StreamWindowDefault), WindowDefault, int.MaxValue);

    internal ConnectionSettings ToConnectionSettings() => new(
        IdleTimeout, KeepAlive, HandshakeTimeout, MaxBidirectionalStreams, StreamWindowBytes,
        Math.Min(UnreadStreamBytes, StreamWindowBytes), ConnectionWindowBytes, CongestionControl);
}

/// <summary>How <see cref="QuicConnection.ConnectAsync"/> connects.</summary>
public sealed record QuicClientOptions
{
    /// <summary>The server's address and UDP port.</summary>
    public required IPEndPoint Remote { get; init; }

    /// <summary>Server name (SNI) and name to check under <see cref="QuicTrust.System"/>. Default localhost; an IP
    /// address sends no SNI.</summary>
    public string ServerName { get; init; } = "localhost";

    /// <summary>Protocols offered. Empty (default): the ClientHello has no ALPN extension, as the reference
    /// wants.</summary>
    public IReadOnlyList<string> Alpn { get; init; } = [];

    /// <summary>Which server certificate is accepted. Default: the system's trust.</summary>
    public QuicTrust Trust { get; init; } = QuicTrust.System;

    /// <summary>Handshake time limit. Default 10 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A connection silent for this long is dropped. Default 30 s; QUIC uses the smaller of both
    /// sides.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>A PING is sent after this much silence. Default 10 s; zero sends none.</summary>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Streams that the server may have open towards this client. Default 100.</summary>
    public int MaxBidirectionalStreams { get; init; } = 100;

    /// <summary>Bytes that the server may send on one stream ahead of the reader. Default 1,250,000.</summary>
    public int StreamWindowBytes { get; init; } = 1_250_000;

    /// <summary>Bytes that the server may send ahead of all readers. Default 16 MiB.</summary>
    public int ConnectionWindowBytes { get; init; } = 16 << 20;

    /// <summary>Default CUBIC.</summary>
    public QuicCongestionControl CongestionControl { get; init; } = QuicCongestionControl.Cubic;

    internal ConnectionSettings ToConnectionSettings() => new(
        IdleTimeout, KeepAlive, ConnectTimeout, MaxBidirectionalStreams, StreamWindowBytes, StreamWindowBytes,
        ConnectionWindowBytes, CongestionControl);
}

/// <summary>What both roles tell ngtcp2 about a new connection.</summary>
internal sealed record ConnectionSettings(
    TimeSpan IdleTimeout,
    TimeSpan KeepAlive,
    TimeSpan HandshakeTimeout,
    int MaxStreams,
    int StreamWindowBytes,
    int UnreadStreamBytes,
    int ConnectionWindowBytes,
    QuicCongestionControl CongestionControl)
{
    public ConnectionSettings Validated()
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(HandshakeTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(IdleTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(KeepAlive, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfNegative(MaxStreams);
        ArgumentOutOfRangeException.ThrowIfLessThan(StreamWindowBytes, 1024);
        ArgumentOutOfRangeException.ThrowIfLessThan(UnreadStreamBytes, 1024);
        ArgumentOutOfRangeException.ThrowIfLessThan(ConnectionWindowBytes, StreamWindowBytes);
        return this;
    }
}
