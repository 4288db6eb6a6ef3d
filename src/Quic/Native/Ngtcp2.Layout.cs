using System.Runtime.InteropServices;

namespace Runtara.Quic.Native;

/// <summary>
/// Layouts of version 1 of ngtcp2's versioned structures, on 64-bit. Every call that takes one also takes its
/// version, so a newer library of the same soname fills in its own defaults for what version 1 does not have.
/// </summary>
internal static unsafe partial class Ngtcp2
{
    public const int V1 = 1;
    public const uint QuicVersion1 = 1, WriteMore = 1, WriteFin = 2;
    public const ulong Second = 1_000_000_000, Millisecond = 1_000_000;
    public const int TokenLength = 16, MaxCidLength = 20;

    public const int ErrStreamDataBlocked = -208, ErrCrypto = -213, ErrStreamShutWr = -219, ErrStreamNotFound = -220;
    public const int ErrRecvVersionNegotiation = -222, ErrClosing = -223, ErrDraining = -224, ErrWriteMore = -230;
    public const int ErrRetry = -231, ErrDropConn = -232, ErrVersionNegotiation = -235, ErrHandshakeTimeout = -236;
    public const int ErrIdleClose = -238, ErrCallbackFailure = -502;

    // Slack behind the V1 sizes: the library writes only what the version says, the slack costs nothing.
    public const int CallbacksSize = 320, SettingsSize = 184 + 64, ParametersSize = 344 + 64;

    [StructLayout(LayoutKind.Sequential)]
    public struct Cid
    {
        public nuint Length;
        public fixed byte Data[MaxCidLength];
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Address
    {
        public byte* Pointer;
        public uint Length;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct NetworkPath
    {
        public Address Local, Remote;
        public void* User;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Vec
    {
        public byte* Base;
        public nuint Length;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct PacketHeader
    {
        public Cid Dcid, Scid;
        public long Number;
        public byte* Token;
        public nuint TokenLength, NumberLength, Length;
        public uint Version;
        public byte Type, Flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct VersionCid
    {
        public uint Version;
        public byte* Dcid;
        public nuint DcidLength;
        public byte* Scid;
        public nuint ScidLength;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct CloseError
    {
        public int Type;
        public ulong Code, FrameType;
        public byte* Reason;
        public nuint ReasonLength;
    }

    /// <summary>Values of <see cref="CloseError.Type"/>.</summary>
    public const int CloseTransport = 0, CloseApplication = 1;

    [StructLayout(LayoutKind.Sequential)]
    public struct ConnectionReference
    {
        public delegate* unmanaged<ConnectionReference*, nint> GetConnection;
        public nint User;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct PacketInfo
    {
        public ulong Ecn;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct ConnectionInfo
    {
        public ulong LatestRtt, MinRtt, SmoothedRtt, RttVar, Cwnd, Ssthresh, BytesInFlight;
    }

    /// <summary>Byte offsets in ngtcp2_settings.</summary>
    public static class Settings
    {
        public const int CongestionControl = 8, InitialTimestamp = 16, Token = 48, TokenLength = 56, TokenType = 64;
        public const int HandshakeTimeout = 112;
        public const int TokenTypeUnknown = 0, TokenTypeRetry = 1;
    }

    /// <summary>Byte offsets in ngtcp2_transport_params.</summary>
    public static class Parameters
    {
        public const int OriginalDcid = 96, RetryScid = 160, StreamBidiLocal = 192, StreamBidiRemote = 200;
        public const int StreamUni = 208, MaxData = 216, StreamsBidi = 224, StreamsUni = 232, IdleTimeout = 240;
        public const int ActiveCidLimit = 256, ResetTokenPresent = 288, OriginalDcidPresent = 290;
        public const int RetryScidPresent = 292, ResetToken = 294, GreaseBit = 310;
    }

    /// <summary>Index of each pointer in ngtcp2_callbacks.</summary>
    public enum Callback
    {
        ClientInitial, RecvClientInitial, RecvCryptoData, HandshakeCompleted, RecvVersionNegotiation, Encrypt, Decrypt,
        HpMask, RecvStreamData, AckedStreamDataOffset, StreamOpen, StreamClose, RecvStatelessReset, RecvRetry,
        ExtendMaxLocalStreamsBidi, ExtendMaxLocalStreamsUni, Rand, GetNewConnectionId, RemoveConnectionId, UpdateKey,
        PathValidation, SelectPreferredAddress, StreamReset, ExtendMaxRemoteStreamsBidi, ExtendMaxRemoteStreamsUni,
        ExtendMaxStreamData, DcidStatus, HandshakeConfirmed, RecvNewToken, DeleteCryptoAeadCtx, DeleteCryptoCipherCtx,
        RecvDatagram, AckDatagram, LostDatagram, GetPathChallengeData, StreamStopSending, VersionNegotiation, RecvRxKey,
        RecvTxKey, TlsEarlyDataRejected,
    }
}
