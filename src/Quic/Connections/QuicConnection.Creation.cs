using System.Runtime.InteropServices;
using System.Text;
using Runtara.Quic.Native;

namespace Runtara.Quic;

/// <summary>Making, completing and freeing a connection; on the endpoint's thread.</summary>
public sealed unsafe partial class QuicConnection
{
    private const int ClientDcidLength = 18, ActiveCidLimit = 4;
    private const byte BadCertificate = 42;

    private readonly List<CidKey> _cids = [];
    private readonly byte[] _remoteAddress;
    private readonly QuicClientOptions? _clientOptions;
    private GCHandle _self;
    private Ngtcp2.ConnectionReference* _reference;
    private nint _native, _tls;
    private bool _isHalfOpen, _handshakeCompleted, _handshakeHandled;

    private QuicConnection(
        Endpoint endpoint, QuicClientOptions? client, ConnectionSettings settings, ReadOnlySpan<byte> remoteAddress)
    {
        (Endpoint, _clientOptions, Settings) = (endpoint, client, settings);
        _remoteAddress = remoteAddress.ToArray();
        RemoteEndPoint = Libc.ReadAddress(remoteAddress);
        _creditBatch = Math.Max(1, settings.MaxStreams / 8);
        _self = GCHandle.Alloc(this);
        _reference = (Ngtcp2.ConnectionReference*)NativeMemory.AllocZeroed((nuint)sizeof(Ngtcp2.ConnectionReference));
        _reference->GetConnection = &OnGetConnection;
        _reference->User = GCHandle.ToIntPtr(_self);
    }

    internal Endpoint Endpoint { get; }
    internal ConnectionSettings Settings { get; }
    internal bool IsServer => _clientOptions is null;

    internal static QuicConnection CreateServer(
        Endpoint endpoint, Ngtcp2.PacketHeader* header, Ngtcp2.Cid* original, bool retried, Ngtcp2.NetworkPath* path,
        ulong now)
    {
        var options = endpoint.Server!;
        var remote = new ReadOnlySpan<byte>(path->Remote.Pointer, (int)path->Remote.Length);
        var connection = new QuicConnection(endpoint, null, options.ToConnectionSettings(), remote);
        var settings = stackalloc byte[Ngtcp2.SettingsSize];
        var parameters = stackalloc byte[Ngtcp2.ParametersSize];
        connection.FillSettings(settings, parameters, now);
        Ngtcp2.Cid scid;
        Endpoint.FillRandomCid(&scid, Endpoint.CidLength);
        *(Ngtcp2.Cid*)(parameters + Ngtcp2.Parameters.OriginalDcid) = *original;
        parameters[Ngtcp2.Parameters.OriginalDcidPresent] = 1;
        parameters[Ngtcp2.Parameters.ResetTokenPresent] = 1;
        connection.WriteResetToken(parameters + Ngtcp2.Parameters.ResetToken, &scid);
        if (retried)
        {
            *(byte**)(settings + Ngtcp2.Settings.Token) = header->Token;
            *(nuint*)(settings + Ngtcp2.Settings.TokenLength) = header->TokenLength;
            *(int*)(settings + Ngtcp2.Settings.TokenType) = Ngtcp2.Settings.TokenTypeRetry;
            *(Ngtcp2.Cid*)(parameters + Ngtcp2.Parameters.RetryScid) = header->Dcid;
            parameters[Ngtcp2.Parameters.RetryScidPresent] = 1;
        }
        nint native;
        connection.Attach(Ngtcp2.ngtcp2_conn_server_new_versioned(
            &native, &header->Scid, &scid, path, header->Version, Ngtcp2.V1, s_callbacks, Ngtcp2.V1, settings,
            Ngtcp2.V1, parameters, null, GCHandle.ToIntPtr(connection._self)), ref native, options.Alpn, null);
        connection.Own(&scid);
        connection.Own(&header->Dcid);
        connection._isHalfOpen = true;
        endpoint.HalfOpen++;
        endpoint.Add(connection);
        return connection;
    }

    internal static QuicConnection CreateClient(Endpoint endpoint, QuicClientOptions options, ulong now)
    {
        var address = stackalloc byte[32];
        var addressLength = Libc.WriteAddress(options.Remote, new Span<byte>(address, 32));
        var connection = new QuicConnection(
            endpoint, options, options.ToConnectionSettings(), new ReadOnlySpan<byte>(address, addressLength));
        var settings = stackalloc byte[Ngtcp2.SettingsSize];
        var parameters = stackalloc byte[Ngtcp2.ParametersSize];
        connection.FillSettings(settings, parameters, now);
        Ngtcp2.Cid scid, dcid;
        Endpoint.FillRandomCid(&scid, Endpoint.CidLength);
        Endpoint.FillRandomCid(&dcid, ClientDcidLength);
        var path = new Ngtcp2.NetworkPath { Local = endpoint.Socket.LocalAddress };
        path.Remote = new Ngtcp2.Address { Pointer = address, Length = (uint)addressLength };
        nint native;
        connection.Attach(Ngtcp2.ngtcp2_conn_client_new_versioned(
            &native, &dcid, &scid, &path, Ngtcp2.QuicVersion1, Ngtcp2.V1, s_callbacks, Ngtcp2.V1, settings, Ngtcp2.V1,
            parameters, null, GCHandle.ToIntPtr(connection._self)), ref native, options.Alpn, options.ServerName);
        connection.Own(&scid);
        endpoint.Add(connection);
        endpoint.MarkDirty(connection);
        return connection;
    }

    internal bool IsTo(Ngtcp2.Address address) =>
        new ReadOnlySpan<byte>(address.Pointer, (int)address.Length).SequenceEqual(_remoteAddress);

    internal void Free()
    {
        if (IsGone)
            return;
        Lose(new QuicClose(QuicCloseOrigin.Local, false, 0, "the endpoint dropped it"));
        _state = State.Gone;
        foreach (var cid in _cids)
            Endpoint.RemoveCid(cid);
        _cids.Clear();
        FreeNative();
        foreach (var stream in _lostStreams)
            stream.TransportIsDone(null);
        _lostStreams.Clear();
    }

    private void FreeNative()
    {
        // The connection first: its keys are handles of their own, but its callbacks may look at the session.
        if (_native != 0)
            Ngtcp2.ngtcp2_conn_del(_native);
        if (_tls != 0)
            GnuTls.gnutls_deinit(_tls);
        NativeMemory.Free(_reference);
        _self.Free();
        (_native, _tls) = (0, 0);
        _reference = null;
    }

    private void Attach(int created, ref nint native, IReadOnlyList<string> alpn, string? serverName)
    {
        try
        {
            if (created != 0)
                throw new QuicException($"ngtcp2 refuses the connection: {Ngtcp2.Describe(created)}");
            _native = native;
            _tls = Endpoint.Credentials.NewSession(alpn, serverName, _reference);
        }
        catch
        {
            FreeNative();
            _state = State.Gone;
            throw;
        }
        Ngtcp2.ngtcp2_conn_set_tls_native_handle(_native, _tls);
        if (Settings.KeepAlive > TimeSpan.Zero)
            Ngtcp2.ngtcp2_conn_set_keep_alive_timeout(_native, Nanoseconds(Settings.KeepAlive));
    }

    private void FillSettings(byte* settings, byte* parameters, ulong now)
    {
        Ngtcp2.ngtcp2_settings_default_versioned(Ngtcp2.V1, settings);
        Ngtcp2.ngtcp2_transport_params_default_versioned(Ngtcp2.V1, parameters);
        *(ulong*)(settings + Ngtcp2.Settings.InitialTimestamp) = now;
        *(ulong*)(settings + Ngtcp2.Settings.HandshakeTimeout) = Nanoseconds(Settings.HandshakeTimeout);
        *(int*)(settings + Ngtcp2.Settings.CongestionControl) = (int)Settings.CongestionControl;
        *(ulong*)(parameters + Ngtcp2.Parameters.StreamBidiLocal) = (ulong)Settings.StreamWindowBytes;
        *(ulong*)(parameters + Ngtcp2.Parameters.StreamBidiRemote) = (ulong)Settings.UnreadStreamBytes;
        *(ulong*)(parameters + Ngtcp2.Parameters.MaxData) = (ulong)Settings.ConnectionWindowBytes;
        *(ulong*)(parameters + Ngtcp2.Parameters.StreamsBidi) = (ulong)Settings.MaxStreams;
        *(ulong*)(parameters + Ngtcp2.Parameters.StreamsUni) = 0;
        *(ulong*)(parameters + Ngtcp2.Parameters.IdleTimeout) = Nanoseconds(Settings.IdleTimeout);
        *(ulong*)(parameters + Ngtcp2.Parameters.ActiveCidLimit) = ActiveCidLimit;
        parameters[Ngtcp2.Parameters.GreaseBit] = 1;
    }

    private static ulong Nanoseconds(TimeSpan time) => (ulong)time.Ticks * 100;

    private void Own(Ngtcp2.Cid* cid)
    {
        var key = new CidKey(cid->Data, cid->Length);
        _cids.Add(key);
        Endpoint.AddCid(key, this);
    }

    private int WriteResetToken(byte* token, Ngtcp2.Cid* cid)
    {
        fixed (byte* secret = Endpoint.TokenSecret)
            return Ngtcp2.ngtcp2_crypto_generate_stateless_reset_token(
                token, secret, (nuint)Endpoint.TokenSecret.Length, cid);
    }

    private void OnHandshakeDone()
    {
        _handshakeHandled = true;
        EndHalfOpen();
        GnuTls.Datum protocol;
        if (GnuTls.gnutls_alpn_get_selected_protocol(_tls, &protocol) == 0 && protocol.Size > 0)
            Alpn = Encoding.ASCII.GetString(protocol.Data, (int)protocol.Size);
        GrantStreams((long)Ngtcp2.ngtcp2_conn_get_streams_bidi_left(_native) + _openedCount);
        if (_clientOptions is null)
        {
            _connected.TrySetResult();
            Endpoint.Accepted.Writer.TryWrite(this);
            return;
        }
        var chain = new List<byte[]>();
        uint count;
        var peers = GnuTls.gnutls_certificate_get_peers(_tls, &count);
        for (var i = 0; peers != null && i < count; i++)
            chain.Add(new ReadOnlySpan<byte>(peers[i].Data, (int)peers[i].Size).ToArray());
        // Building a chain can block: never on the endpoint's thread.
        ThreadPool.QueueUserWorkItem(_ => CheckCertificate(_clientOptions, chain));
    }

    private void CheckCertificate(QuicClientOptions options, List<byte[]> chain)
    {
        string? refusal;
        try
        {
            refusal = options.Trust.Refusal(chain, options.ServerName);
        }
        catch (Exception e)
        {
            refusal = e.Message;
        }
        if (refusal is null)
            _connected.TrySetResult();
        else
            Endpoint.Post(() => RefuseCertificate(refusal));
    }

    private void RefuseCertificate(string refusal)
    {
        Ngtcp2.CloseError error = default;
        Ngtcp2.ngtcp2_ccerr_set_tls_alert(&error, BadCertificate, null, 0);
        WriteClose(&error, Endpoint.Now(), new QuicClose(
            QuicCloseOrigin.Local, false, (long)error.Code, $"the server's certificate is refused: {refusal}"));
    }

    private void EndHalfOpen()
    {
        if (!_isHalfOpen)
            return;
        _isHalfOpen = false;
        Endpoint.HalfOpen--;
    }
}
