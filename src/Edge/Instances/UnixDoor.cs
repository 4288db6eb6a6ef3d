using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Protocol;
using Wire = Runtara.Protocol.Instances;

namespace Runtara.Edge.Instances;

/// <summary>
/// The instance protocol over a unix socket in each run directory (D7). A connection carries one request frame and
/// then its response frame, again and again; requests without a reply on QUIC get an empty response once they are
/// durable, and an error when they are not. Who needs several at once opens several connections.
/// </summary>
public sealed class UnixDoor(
    InstanceRequests requests, EdgeOptions options, FrameBudget frames, TimeProvider time, ILogger<UnixDoor> log)
    : IInstanceDoor
{
    private const int ConnectionsMax = 64;
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    // What no request has would be kept for as long as the request lasts.
    private static readonly MessageParser<Wire.RpcRequest> Parser =
        Wire.RpcRequest.Parser.WithDiscardUnknownFields(true);

    private readonly TaskCompletionSource<Exception> _failed =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when a socket accepts no connection any more though nobody closed it: the cause.</summary>
    public Task<Exception> Failed => _failed.Task;

    /// <inheritdoc />
    public ValueTask<IAsyncDisposable> OpenAsync(
        InstanceId instance, TenantId tenant, Attempt attempt, string socketPath, CancellationToken cancellation)
    {
        File.Delete(socketPath);
        var (socket, directory) = Bind(socketPath);
        // The workflow may run as any user of its own; the directory above is what keeps others out.
        File.SetUnixFileMode(
            socketPath,
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite
            | UnixFileMode.OtherRead | UnixFileMode.OtherWrite);
        var opened = new OpenDoor(
            this, socket, directory, socketPath, new WorkflowOrigin.Socket(instance, attempt), instance);
        return ValueTask.FromResult<IAsyncDisposable>(opened);
    }

    // A socket address holds 107 bytes and a run directory's path may be longer: bind below /proc/self/fd instead.
    // The directory stays open as long as the socket, which deletes the path it was bound to when it is disposed: the
    // number must not have become another run directory by then.
    private static (Socket Socket, SafeFileHandle Directory) Bind(string socketPath)
    {
        var directory = OpenDirectory(Path.GetDirectoryName(socketPath)!);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            var shortPath = $"/proc/self/fd/{directory.DangerousGetHandle()}/{Path.GetFileName(socketPath)}";
            socket.Bind(new UnixDomainSocketEndPoint(shortPath));
            socket.Listen(ConnectionsMax);
            return (socket, directory);
        }
        catch
        {
            socket.Dispose();
            directory.Dispose();
            throw;
        }
    }

    private static SafeFileHandle OpenDirectory(string path)
    {
        const int oPath = 0x200000, oDirectory = 0x10000, oNoFollow = 0x20000, oCloseOnExec = 0x80000;
        var handle = open(path, oPath | oDirectory | oNoFollow | oCloseOnExec);
        if (handle < 0)
            throw new IOException($"cannot open the run directory '{path}' (errno {Marshal.GetLastPInvokeError()})");
        return new SafeFileHandle(handle, ownsHandle: true);
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    private async Task ServeAsync(
        Socket accepted, FrameLimits limits, WorkflowOrigin origin, CancellationToken cancellation)
    {
        using var socket = accepted;
        await using var stream = new ReplyStream(socket, limits, time);
        var input = PipeReader.Create(stream);
        var output = PipeWriter.Create(stream);
        Exception? cause = null;
        try
        {
            while (await ServeOneAsync(input, output, stream, limits, origin, cancellation))
            {
            }
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            log.StreamBroke("socket", e.Message);
            cause = e;
        }
        catch (Exception e)
        {
            log.RequestFailed(e, "socket");
            cause = e;
        }
        await input.CompleteAsync();
        // Told of an error the writer drops what it holds; else it would write to the broken connection, and throw.
        await output.CompleteAsync(cause);
    }

    private async ValueTask<bool> ServeOneAsync(
        PipeReader input, PipeWriter output, ReplyStream stream, FrameLimits limits, WorkflowOrigin origin,
        CancellationToken cancellation)
    {
        var read = await FrameReader.ReadAsync(input, Parser, limits, time, cancellation);
        using var room = read.Room;
        if (!read.IsComplete)
        {
            if (read.Outcome != FrameOutcome.EndOfStream)
                log.Unreadable("socket", read.Outcome, read.Detail);
            return false;
        }
        var response = await requests.HandleAsync(read.Message, origin, cancellation);
        Replies.Write(
            output, response ?? new Wire.RpcResponse(), options,
            text => InstanceRequests.Error(InstanceRequests.CodeOf(read.Message.RequestCase), text));
        stream.Begin(output.UnflushedBytes);
        return !(await output.FlushAsync(cancellation)).IsCompleted;
    }

    private sealed class OpenDoor : IAsyncDisposable
    {
        private readonly UnixDoor _door;
        private readonly Socket _socket;
        private readonly SafeFileHandle _directory;
        private readonly string _path;
        private readonly WorkflowOrigin _origin;
        private readonly string _instance;
        private readonly FrameLimits _limits;
        private readonly CancellationTokenSource _closing = new();
        private readonly SemaphoreSlim _places = new(ConnectionsMax);
        private readonly Task _accepting;

        public OpenDoor(
            UnixDoor door, Socket socket, SafeFileHandle directory, string path, WorkflowOrigin origin,
            InstanceId instance)
        {
            (_door, _socket, _directory, _path) = (door, socket, directory, path);
            (_origin, _instance, _limits) = (origin, instance.Value, door.NewLimits());
            _accepting = AcceptAsync();
        }

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    await _places.WaitAsync(_closing.Token);
                    _ = ServeAndLeaveAsync(await AcceptOneAsync());
                }
            }
            catch (OperationCanceledException) when (_closing.IsCancellationRequested)
            {
                // Closed.
            }
            catch (Exception e)
            {
                _door.Fail(e);
            }
        }

        // No descriptor is free, say: that passes, and who has connected still waits.
        private async Task<Socket> AcceptOneAsync()
        {
            for (var isWarned = false; ; isWarned = true)
            {
                try
                {
                    return await _socket.AcceptAsync(_closing.Token);
                }
                catch (SocketException e)
                {
                    if (!isWarned)
                        _door.NotAccepted(e, _instance);
                }
                await _door.PauseAsync(_closing.Token);
            }
        }

        private async Task ServeAndLeaveAsync(Socket accepted)
        {
            try
            {
                await _door.ServeAsync(accepted, _limits, _origin, _closing.Token);
            }
            finally
            {
                _places.Release();
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _closing.CancelAsync();
            await _accepting;
            _socket.Dispose();
            _directory.Dispose();
            File.Delete(_path);
        }
    }

    private FrameLimits NewLimits() => options.Frames with { Share = frames.NewShare(options.ShareBytesMax) };

    private void NotAccepted(Exception cause, string instance) => log.NotAccepted(cause, instance);

    private void Fail(Exception cause)
    {
        log.DoorFailed(cause, "socket");
        _failed.TrySetResult(cause);
    }

    private Task PauseAsync(CancellationToken cancellation) => Task.Delay(AcceptPause, time, cancellation);
}
