using System.IO.Pipelines;
using System.Net.Sockets;
using Runtara.Protocol;
using Runtara.Protocol.Instances;

namespace Runtara.Sdk;

/// <summary>One connection to the daemon's unix socket: one request frame, then exactly one response frame.</summary>
internal sealed class DaemonConnection : IDisposable
{
    private readonly Socket _socket;
    private readonly PipeReader _input;
    private readonly PipeWriter _output;
    private readonly TimeProvider _time;

    private DaemonConnection(Socket socket, TimeProvider time)
    {
        _socket = socket;
        var stream = new NetworkStream(socket, ownsSocket: false);
        _input = PipeReader.Create(stream);
        _output = PipeWriter.Create(stream);
        _time = time;
    }

    /// <exception cref="IOException">Nobody listens.</exception>
    internal static async Task<DaemonConnection> OpenAsync(string path, TimeProvider time, CancellationToken ct)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), ct);
            return new DaemonConnection(socket, time);
        }
        catch (SocketException refused)
        {
            socket.Dispose();
            throw new IOException($"{path}: {refused.Message}", refused);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>After any exception the connection is out of step and must be disposed.</summary>
    /// <exception cref="IOException">The daemon went away or speaks another protocol.</exception>
    internal async Task<RpcResponse> ExchangeAsync(RpcRequest request, CancellationToken ct)
    {
        FrameWriter.Write(_output, FrameType.Request, request);
        await _output.FlushAsync(ct);
        var read = await FrameReader.ReadAsync(_input, RpcResponse.Parser, FrameLimits.Default, _time, ct);
        return read.IsComplete
            ? read.Message
            : throw new IOException($"The daemon's reply ended with {read.Outcome}: {read.Detail}.");
    }

    public void Dispose() => _socket.Dispose();
}
