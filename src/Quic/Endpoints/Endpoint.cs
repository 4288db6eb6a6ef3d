using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Threading.Channels;
using Runtara.Quic.Native;

namespace Runtara.Quic;

/// <summary>
/// One UDP socket and the one thread that owns every ngtcp2 connection on it: receive, obey the application's queues,
/// expire timers, send, sleep. ngtcp2 asserts that time never goes back and that nobody re-enters it from a callback;
/// a single owner makes both impossible. Application threads only enqueue and wake.
/// </summary>
internal sealed unsafe partial class Endpoint
{
    public const int CidLength = 16, BurstMax = 40, ReceiveRounds = 4;
    private const ulong LingerMax = 200 * Ngtcp2.Millisecond;

    private static readonly Comparer<(ulong At, long Number, QuicConnection Connection)> s_byTime =
        Comparer<(ulong At, long Number, QuicConnection Connection)>.Create(
            static (x, y) => x.At != y.At ? x.At.CompareTo(y.At) : x.Number.CompareTo(y.Number));

    private readonly UdpSocket _socket;
    private readonly int _wakeFd;
    private readonly byte* _sendBuffer;
    private readonly UdpSocket.PacketHandler _onPacket;
    private readonly ConcurrentQueue<QuicStream> _dirtyStreams = new();
    private readonly ConcurrentQueue<QuicConnection> _askedConnections = new();
    private readonly ConcurrentQueue<Action> _actions = new();
    private readonly Dictionary<CidKey, QuicConnection> _byCid = new();
    private readonly HashSet<QuicConnection> _connections = [];
    private readonly Queue<QuicConnection> _dirty = new();
    private readonly SortedSet<(ulong At, long Number, QuicConnection Connection)> _timers = new(s_byTime);
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _sleeping;
    private ulong _stopAt = ulong.MaxValue;
    private volatile bool _refusing;

    public Endpoint(IPEndPoint bind, QuicServerOptions? server)
    {
        NativeLoader.Require();
        Server = server;
        Credentials = new TlsCredentials(server?.Certificate);
        TokenSecret = server?.Certificate.TokenSecret ?? RandomNumberGenerator.GetBytes(32);
        try
        {
            _socket = new UdpSocket(
                bind, server?.SocketReceiveBufferBytes ?? 2 << 20, server?.SocketSendBufferBytes ?? 2 << 20);
        }
        catch
        {
            Credentials.Dispose();
            throw;
        }
        _wakeFd = Libc.eventfd(0, Libc.NonBlockCloseOnExec);
        _sendBuffer = (byte*)NativeMemory.AlignedAlloc(UdpSocket.DatagramMax + 4096, 64);
        _onPacket = OnPacket;
        new Thread(Run) { IsBackground = true, Name = $"quic-{_socket.Local.Port}" }.Start();
    }

    public QuicServerOptions? Server { get; }
    public TlsCredentials Credentials { get; }
    public byte[] TokenSecret { get; }
    public UdpSocket Socket => _socket;
    public IPEndPoint Local => _socket.Local;
    public byte* SendBuffer => _sendBuffer;
    public int HalfOpen { get; set; }
    public Task Stopped => _stopped.Task;
    public Channel<QuicConnection> Accepted { get; } = Channel.CreateUnbounded<QuicConnection>();

    /// <summary>Nanoseconds of the monotonic clock, which is what Stopwatch counts on Linux.</summary>
    public static ulong Now() => (ulong)Stopwatch.GetTimestamp();

    public static void FillRandomCid(Ngtcp2.Cid* cid, int length)
    {
        *cid = default;
        cid->Length = (nuint)length;
        RandomNumberGenerator.Fill(new Span<byte>(cid->Data, length));
    }

    public void Enqueue(QuicStream stream)
    {
        _dirtyStreams.Enqueue(stream);
        Wake();
    }

    public void Enqueue(QuicConnection connection)
    {
        _askedConnections.Enqueue(connection);
        Wake();
    }

    /// <summary>Runs on the endpoint's thread; returns false when that thread has ended.</summary>
    public bool Post(Action action)
    {
        _actions.Enqueue(action);
        Wake();
        return !_stopped.Task.IsCompleted;
    }

    /// <summary>
    /// CONNECTION_CLOSE to all, then stop once the closing periods are over, at most 200 ms later; then the port is
    /// free.
    /// </summary>
    public Task CloseAsync(long code, string reason)
    {
        Post(() =>
        {
            if (_stopAt != ulong.MaxValue)
                return;
            _stopAt = Now() + LingerMax;
            Accepted.Writer.TryComplete();
            foreach (var connection in _connections.ToArray())
                connection.CloseNow(code, reason);
        });
        return _closed.Task;
    }

    public Task DeliverAsync()
    {
        var underWay = new TaskCompletionSource<Task>(TaskCreationOptions.RunContinuationsAsynchronously);
        return Post(() => underWay.SetResult(
            Task.WhenAll(_connections.SelectMany(c => c.StreamsUnderWay).Select(s => s.Over))))
            ? underWay.Task.Unwrap()
            : Task.CompletedTask;
    }

    /// <summary>Answers new connections with CONNECTION_REFUSED; the others go on.</summary>
    public void StopAccepting()
    {
        _refusing = true;
        Accepted.Writer.TryComplete();
    }

    public void Add(QuicConnection connection) => _connections.Add(connection);

    public void Remove(QuicConnection connection)
    {
        if (!_connections.Remove(connection))
            return;
        Unschedule(connection);
        connection.Free();
    }

    public void AddCid(CidKey cid, QuicConnection connection) => _byCid[cid] = connection;

    public void RemoveCid(CidKey cid) => _byCid.Remove(cid);

    public void MarkDirty(QuicConnection connection)
    {
        if (connection.IsDirty)
            return;
        connection.IsDirty = true;
        _dirty.Enqueue(connection);
    }

    public void Reschedule(QuicConnection connection)
    {
        var expiry = connection.Expiry;
        if (connection.HasNothingToSend)
        {
            // The expiry includes the pacer's, even when nothing waits: rounding it up saves five wake-ups per RPC.
            expiry = Math.Max(expiry, Now() + Ngtcp2.Millisecond);
        }
        // A later expiry keeps its early timer: that fires for nothing once, which is cheaper than moving it each time.
        if (expiry >= connection.ScheduledAt)
            return;
        Unschedule(connection);
        connection.ScheduledAt = expiry;
        _timers.Add((expiry, connection.Number, connection));
    }

    public void Unschedule(QuicConnection connection)
    {
        if (connection.ScheduledAt != ulong.MaxValue)
            _timers.Remove((connection.ScheduledAt, connection.Number, connection));
        connection.ScheduledAt = ulong.MaxValue;
    }

    private void Wake()
    {
        // Full fence between the enqueue and the look at the flag; the loop does the same the other way round.
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _sleeping) == 0 || Interlocked.Exchange(ref _sleeping, 0) == 0)
            return;
        ulong one = 1;
        Libc.write(_wakeFd, &one, 8);
    }

    private void Run()
    {
        Libc.prctl(Libc.PrSetTimerSlack, 1, 0, 0, 0);
        Exception? failure = null;
        try
        {
            var more = false;
            while (!IsOver())
            {
                Sleep(more);
                more = false;
                for (var round = 0; round < ReceiveRounds && Receive(); round++)
                    more = round == ReceiveRounds - 1;
                Obey();
                ExpireTimers();
                more |= FlushDirty();
            }
        }
        catch (Exception e)
        {
            failure = e;
        }
        Stop(failure);
    }

    private bool IsOver() => _stopAt != ulong.MaxValue && (_connections.Count == 0 || Now() >= _stopAt);

    private void Sleep(bool more)
    {
        var fds = stackalloc Libc.PollFd[2];
        fds[0] = new Libc.PollFd { Fd = _socket.Handle, Events = Libc.PollIn };
        if (_socket.HasBlocked)
            fds[0].Events |= Libc.PollOut;
        fds[1] = new Libc.PollFd { Fd = _wakeFd, Events = Libc.PollIn };
        Interlocked.Exchange(ref _sleeping, 1);
        more |= !_dirtyStreams.IsEmpty || !_actions.IsEmpty || !_askedConnections.IsEmpty;
        var until = _timers.Count > 0 ? Math.Min(_timers.Min.At, _stopAt) : _stopAt;
        var now = Now();
        var wait = more || until <= now ? 0 : until - now;
        var timeout = new Libc.Timespec
        {
            Seconds = (long)(wait / Ngtcp2.Second), Nanoseconds = (long)(wait % Ngtcp2.Second),
        };
        Libc.ppoll(fds, 2, until == ulong.MaxValue && !more ? null : &timeout, null);
        Interlocked.Exchange(ref _sleeping, 0);
        if (fds[1].Returned != 0)
        {
            ulong ignored;
            Libc.read(_wakeFd, &ignored, 8);
        }
        if (_socket.HasBlocked)
            _socket.SendBlocked();
    }

    private void Obey()
    {
        while (_actions.TryDequeue(out var action))
            action();
        while (_askedConnections.TryDequeue(out var connection))
        {
            connection.Unqueue();
            MarkDirty(connection);
        }
        // Bounded, so that a busy application cannot keep the loop from the socket.
        for (var budget = 4096; budget > 0 && _dirtyStreams.TryDequeue(out var stream); budget--)
        {
            stream.Unqueue();
            stream.Connection.Serve(stream);
        }
    }

    private void ExpireTimers()
    {
        var now = Now();
        while (_timers.Count > 0 && _timers.Min is var (at, _, connection) && at <= now)
        {
            Unschedule(connection);
            if (connection.Expiry <= now)
            {
                connection.Expire(now);
                if (!connection.IsGone)
                    MarkDirty(connection);
            }
            else
            {
                Reschedule(connection);
            }
        }
    }

    private bool FlushDirty()
    {
        for (var count = _dirty.Count; count > 0; count--)
        {
            var connection = _dirty.Dequeue();
            connection.IsDirty = false;
            if (connection.IsGone)
                continue;
            connection.Flush(Now());
            if (!connection.IsGone)
                Reschedule(connection);
        }
        return _dirty.Count > 0;
    }

    private void Stop(Exception? failure)
    {
        foreach (var connection in _connections.ToArray())
        {
            if (failure is not null)
                connection.Lose(new QuicClose(
                    QuicCloseOrigin.ProtocolError, false, 1, $"the endpoint failed: {failure.Message}"));
            else
                connection.CloseNow(0, "the endpoint is closed");
            Remove(connection);
        }
        Accepted.Writer.TryComplete(failure is null ? null : new QuicException(failure.Message, 1, failure));
        _stopped.TrySetResult();
        while (_actions.TryDequeue(out var action))
            action();
        _socket.Dispose();
        _closed.TrySetResult();
        NativeMemory.AlignedFree(_sendBuffer);
        Credentials.Dispose();
    }

    // Not in Stop: an application thread may be about to write to it, and a reused number would be somebody's file.
    ~Endpoint() => Libc.close(_wakeFd);
}
