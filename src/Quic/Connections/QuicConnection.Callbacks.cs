using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Runtara.Quic.Native;

namespace Runtara.Quic;

/// <summary>
/// What ngtcp2 calls. Nothing here calls ngtcp2 back, and no exception crosses into native code: it becomes -502, which
/// ends the connection with INTERNAL_ERROR.
/// </summary>
public sealed unsafe partial class QuicConnection
{
    private const uint DataFin = 1, CloseHasCode = 1;

    private static readonly byte* s_callbacks = BuildCallbacks();

    private static byte* BuildCallbacks()
    {
        var table = (nint*)NativeMemory.AllocZeroed(Ngtcp2.CallbacksSize);
        foreach (var (callback, export) in new[]
                 {
                     (Ngtcp2.Callback.ClientInitial, "client_initial_cb"),
                     (Ngtcp2.Callback.RecvClientInitial, "recv_client_initial_cb"),
                     (Ngtcp2.Callback.RecvCryptoData, "recv_crypto_data_cb"),
                     (Ngtcp2.Callback.Encrypt, "encrypt_cb"),
                     (Ngtcp2.Callback.Decrypt, "decrypt_cb"),
                     (Ngtcp2.Callback.HpMask, "hp_mask_cb"),
                     (Ngtcp2.Callback.RecvRetry, "recv_retry_cb"),
                     (Ngtcp2.Callback.UpdateKey, "update_key_cb"),
                     (Ngtcp2.Callback.DeleteCryptoAeadCtx, "delete_crypto_aead_ctx_cb"),
                     (Ngtcp2.Callback.DeleteCryptoCipherCtx, "delete_crypto_cipher_ctx_cb"),
                     (Ngtcp2.Callback.GetPathChallengeData, "get_path_challenge_data_cb"),
                     (Ngtcp2.Callback.VersionNegotiation, "version_negotiation_cb"),
                 })
            table[(int)callback] = NativeLoader.CryptoExport("ngtcp2_crypto_" + export);
        void Set(Ngtcp2.Callback callback, void* function) => table[(int)callback] = (nint)function;
        Set(Ngtcp2.Callback.HandshakeCompleted, (delegate* unmanaged<nint, nint, int>)&OnHandshakeCompleted);
        Set(Ngtcp2.Callback.RecvStreamData,
            (delegate* unmanaged<nint, uint, long, ulong, byte*, nuint, nint, nint, int>)&OnStreamData);
        Set(Ngtcp2.Callback.AckedStreamDataOffset,
            (delegate* unmanaged<nint, long, ulong, ulong, nint, nint, int>)&OnAcknowledged);
        Set(Ngtcp2.Callback.StreamOpen, (delegate* unmanaged<nint, long, nint, int>)&OnStreamOpen);
        Set(Ngtcp2.Callback.StreamClose, (delegate* unmanaged<nint, uint, long, ulong, nint, nint, int>)&OnStreamClose);
        Set(Ngtcp2.Callback.StreamReset,
            (delegate* unmanaged<nint, long, ulong, ulong, nint, nint, int>)&OnStreamReset);
        Set(Ngtcp2.Callback.ExtendMaxLocalStreamsBidi, (delegate* unmanaged<nint, ulong, nint, int>)&OnStreamsAllowed);
        Set(Ngtcp2.Callback.ExtendMaxStreamData,
            (delegate* unmanaged<nint, long, ulong, nint, nint, int>)&OnStreamWindow);
        Set(Ngtcp2.Callback.RecvStatelessReset, (delegate* unmanaged<nint, nint, nint, int>)&OnStatelessReset);
        Set(Ngtcp2.Callback.Rand, (delegate* unmanaged<byte*, nuint, nint, void>)&OnRandom);
        Set(Ngtcp2.Callback.GetNewConnectionId,
            (delegate* unmanaged<nint, Ngtcp2.Cid*, byte*, nuint, nint, int>)&OnNewCid);
        Set(Ngtcp2.Callback.RemoveConnectionId, (delegate* unmanaged<nint, Ngtcp2.Cid*, nint, int>)&OnOldCid);
        return (byte*)table;
    }

    private static QuicConnection Self(nint user) => Unsafe.As<QuicConnection>(GCHandle.FromIntPtr(user).Target!);

    private static int Guard<T>(nint user, T argument, Action<QuicConnection, T> action)
    {
        try
        {
            action(Self(user), argument);
            return 0;
        }
        catch
        {
            return Ngtcp2.ErrCallbackFailure;
        }
    }

    [UnmanagedCallersOnly]
    private static nint OnGetConnection(Ngtcp2.ConnectionReference* reference)
    {
        try
        {
            return Self(reference->User)._native;
        }
        catch
        {
            return 0;
        }
    }

    [UnmanagedCallersOnly]
    private static void OnRandom(byte* destination, nuint length, nint context)
    {
        try
        {
            RandomNumberGenerator.Fill(new Span<byte>(destination, (int)length));
        }
        catch
        {
            // There is no way to say so; these bytes only grease packets, keys come from GnuTLS.
            new Span<byte>(destination, (int)length).Clear();
        }
    }

    [UnmanagedCallersOnly]
    private static int OnHandshakeCompleted(nint conn, nint user) =>
        Guard(user, 0, static (self, _) => self._handshakeCompleted = true);

    [UnmanagedCallersOnly]
    private static int OnStatelessReset(nint conn, nint reset, nint user) =>
        Guard(user, 0, static (self, _) => self._peerReset = true);

    [UnmanagedCallersOnly]
    private static int OnStreamsAllowed(nint conn, ulong limit, nint user) =>
        Guard(user, (long)limit, static (self, limit) => self.GrantStreams(limit));

    [UnmanagedCallersOnly]
    private static int OnStreamOpen(nint conn, long id, nint user) =>
        Guard(user, id, static (self, id) =>
        {
            var stream = new QuicStream(self, id);
            self._streams[id] = stream;
            self._acceptedStreams.Writer.TryWrite(stream);
        });

    [UnmanagedCallersOnly]
    private static int OnStreamData(
        nint conn, uint flags, long id, ulong offset, byte* data, nuint length, nint user, nint streamUser)
    {
        try
        {
            var self = Self(user);
            if (self._streams.TryGetValue(id, out var stream))
                stream.Rx.Received(new ReadOnlySpan<byte>(data, (int)length), (flags & DataFin) != 0);
            else
                self.AddCredit((long)length);
            return 0;
        }
        catch
        {
            return Ngtcp2.ErrCallbackFailure;
        }
    }

    [UnmanagedCallersOnly]
    private static int OnAcknowledged(nint conn, long id, ulong offset, ulong length, nint user, nint streamUser) =>
        Guard(user, (id, upTo: (long)(offset + length)), static (self, x) =>
        {
            if (self._streams.TryGetValue(x.id, out var stream))
                stream.Tx.Acknowledged(x.upTo);
        });

    [UnmanagedCallersOnly]
    private static int OnStreamClose(nint conn, uint flags, long id, ulong code, nint user, nint streamUser) =>
        Guard(user, (id, code: (flags & CloseHasCode) != 0 ? (long?)code : null), static (self, x) =>
        {
            if (self._streams.Remove(x.id, out var stream))
                stream.TransportIsDone(x.code);
        });

    [UnmanagedCallersOnly]
    private static int OnStreamReset(nint conn, long id, ulong finalSize, ulong code, nint user, nint streamUser) =>
        Guard(user, (id, code: (long)code), static (self, x) =>
        {
            if (self._streams.TryGetValue(x.id, out var stream))
                stream.Rx.Fail(new QuicStreamResetException(x.code));
        });

    [UnmanagedCallersOnly]
    private static int OnStreamWindow(nint conn, long id, ulong limit, nint user, nint streamUser) =>
        Guard(user, id, static (self, id) =>
        {
            if (self._streams.TryGetValue(id, out var stream) && stream.Blocked)
                self.EnqueueSend(stream);
        });

    [UnmanagedCallersOnly]
    private static int OnNewCid(nint conn, Ngtcp2.Cid* cid, byte* token, nuint length, nint user)
    {
        try
        {
            var self = Self(user);
            Endpoint.FillRandomCid(cid, (int)length);
            if (self.WriteResetToken(token, cid) != 0)
                return Ngtcp2.ErrCallbackFailure;
            self.Own(cid);
            return 0;
        }
        catch
        {
            return Ngtcp2.ErrCallbackFailure;
        }
    }

    [UnmanagedCallersOnly]
    private static int OnOldCid(nint conn, Ngtcp2.Cid* cid, nint user) =>
        Guard(user, new CidKey(cid->Data, cid->Length), static (self, key) =>
        {
            self._cids.Remove(key);
            self.Endpoint.RemoveCid(key);
        });
}
