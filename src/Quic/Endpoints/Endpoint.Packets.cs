using System.Security.Cryptography;
using Runtara.Quic.Native;

namespace Runtara.Quic;

/// <summary>Which connection a datagram is for, and the answers that need no connection.</summary>
internal sealed unsafe partial class Endpoint
{
    private const int InitialMin = 1200, ResetMin = 43, ResetRandom = 21, ResetsPerSecond = 1000;
    private const byte RetryTokenMagic = 0xb6;
    private const ulong ConnectionRefused = 2, RetryTokenLife = 10 * Ngtcp2.Second;

    private ulong _receivedAt, _resetSecond;
    private int _resetsSent;

    private bool Receive()
    {
        _receivedAt = Now();
        return _socket.Receive(_onPacket);
    }

    private void OnPacket(byte* packet, int length, Ngtcp2.NetworkPath* path)
    {
        Ngtcp2.VersionCid ids;
        var decoded = Ngtcp2.ngtcp2_pkt_decode_version_cid(&ids, packet, (nuint)length, CidLength);
        if (decoded == Ngtcp2.ErrVersionNegotiation)
            NegotiateVersion(&ids, length, path);
        if (decoded != 0)
            return;
        if (_byCid.TryGetValue(new CidKey(ids.Dcid, ids.DcidLength), out var connection))
        {
            Deliver(connection, packet, length, path);
            return;
        }
        var longHeader = (packet[0] & 0x80) != 0;
        if (Server is null)
            OfferReset(packet, length, path);
        else if (!longHeader)
            ResetStateless(&ids, length, path);
        else if (_stopAt == ulong.MaxValue && Accept(packet, length, path) is { } accepted)
            Deliver(accepted, packet, length, path);
    }

    private void Deliver(QuicConnection connection, byte* packet, int length, Ngtcp2.NetworkPath* path)
    {
        connection.Read(path, packet, length, _receivedAt);
        if (!connection.IsGone)
            MarkDirty(connection);
    }

    // A stateless reset carries no connection id; the connections to that peer know their tokens.
    private void OfferReset(byte* packet, int length, Ngtcp2.NetworkPath* path)
    {
        if ((packet[0] & 0x80) != 0 || length < 21)
            return;
        foreach (var connection in _connections.Where(c => c.IsTo(path->Remote)).ToArray())
            Deliver(connection, packet, length, path);
    }

    private QuicConnection? Accept(byte* packet, int length, Ngtcp2.NetworkPath* path)
    {
        Ngtcp2.PacketHeader header;
        if (Ngtcp2.ngtcp2_accept(&header, packet, (nuint)length) != 0 || HalfOpen >= Server!.MaxPendingHandshakes)
            return null;
        if (_refusing || _connections.Count >= Server.MaxConnections)
        {
            Refuse(&header, path);
            return null;
        }
        var original = header.Dcid;
        var validated = false;
        if (header.TokenLength > 0 && *header.Token == RetryTokenMagic)
        {
            fixed (byte* secret = TokenSecret)
            {
                if (Ngtcp2.ngtcp2_crypto_verify_retry_token(
                        &original, header.Token, header.TokenLength, secret, (nuint)TokenSecret.Length, header.Version,
                        path->Remote.Pointer, path->Remote.Length, &header.Dcid, RetryTokenLife, _receivedAt) != 0)
                    return null;
            }
            validated = true;
        }
        if (!validated && HalfOpen >= Server.RetryAboveHalfOpen)
        {
            SendRetry(&header, path, _receivedAt);
            return null;
        }
        try
        {
            return QuicConnection.CreateServer(this, &header, &original, validated, path, _receivedAt);
        }
        catch (QuicException)
        {
            // Out of memory, or a packet that the library refuses: the client repeats its Initial or gives up.
            return null;
        }
    }

    public void SendRetry(Ngtcp2.PacketHeader* header, Ngtcp2.NetworkPath* path, ulong now)
    {
        Ngtcp2.Cid scid;
        FillRandomCid(&scid, CidLength);
        var token = stackalloc byte[256];
        fixed (byte* secret = TokenSecret)
        {
            var tokenLength = Ngtcp2.ngtcp2_crypto_generate_retry_token(
                token, secret, (nuint)TokenSecret.Length, header->Version, path->Remote.Pointer, path->Remote.Length,
                &scid, &header->Dcid, now);
            if (tokenLength < 0)
                return;
            SendBuffered(Ngtcp2.ngtcp2_crypto_write_retry(
                _sendBuffer, InitialMin, header->Version, &header->Scid, &scid, &header->Dcid, token,
                (nuint)tokenLength), path);
        }
    }

    private void Refuse(Ngtcp2.PacketHeader* header, Ngtcp2.NetworkPath* path) =>
        SendBuffered(Ngtcp2.ngtcp2_crypto_write_connection_close(
            _sendBuffer, InitialMin, header->Version, &header->Scid, &header->Dcid, ConnectionRefused, null, 0), path);

    private void NegotiateVersion(Ngtcp2.VersionCid* ids, int length, Ngtcp2.NetworkPath* path)
    {
        if (Server is null || length < InitialMin)
            return;
        var version = Ngtcp2.QuicVersion1;
        SendBuffered(Ngtcp2.ngtcp2_pkt_write_version_negotiation(
            _sendBuffer, InitialMin, (byte)RandomNumberGenerator.GetInt32(256), ids->Scid, ids->ScidLength, ids->Dcid,
            ids->DcidLength, &version, 1), path);
    }

    private void ResetStateless(Ngtcp2.VersionCid* ids, int length, Ngtcp2.NetworkPath* path)
    {
        if (length < ResetMin || !MayReset())
            return;
        Ngtcp2.Cid cid = default;
        cid.Length = ids->DcidLength;
        new ReadOnlySpan<byte>(ids->Dcid, (int)ids->DcidLength).CopyTo(new Span<byte>(cid.Data, Ngtcp2.MaxCidLength));
        var token = stackalloc byte[Ngtcp2.TokenLength];
        var random = stackalloc byte[ResetRandom];
        RandomNumberGenerator.Fill(new Span<byte>(random, ResetRandom));
        fixed (byte* secret = TokenSecret)
        {
            if (Ngtcp2.ngtcp2_crypto_generate_stateless_reset_token(
                    token, secret, (nuint)TokenSecret.Length, &cid) != 0)
                return;
        }
        SendBuffered(Ngtcp2.ngtcp2_pkt_write_stateless_reset(
            _sendBuffer, (nuint)Math.Min(length - 1, InitialMin), token, random, ResetRandom), path);
    }

    private bool MayReset()
    {
        var second = _receivedAt / Ngtcp2.Second;
        if (second != _resetSecond)
            (_resetSecond, _resetsSent) = (second, 0);
        return _resetsSent++ < ResetsPerSecond;
    }

    private void SendBuffered(nint length, Ngtcp2.NetworkPath* path)
    {
        if (length > 0)
            _socket.Send(_sendBuffer, (int)length, 0, path->Remote.Pointer, path->Remote.Length);
    }
}
