using System.Collections.Concurrent;
using Runtara.Protocol;
using Runtara.Protocol.Instances;
using Response = Runtara.Protocol.Instances.RpcResponse.ResponseOneofCase;

namespace Runtara.Sdk;

/// <summary>
/// Requests over as many connections as there are requests at a time, since the reply to a sleep may be held for long.
/// A request whose connection breaks, or whose error says that it may be, is sent again, unchanged: the daemon makes a
/// repetition harmless.
/// </summary>
internal sealed class DaemonClient(WorkflowOptions options) : IDisposable
{
    private const int IdleMax = 4;
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(5);

    private readonly ConcurrentStack<DaemonConnection> _idle = new();

    /// <exception cref="WorkflowException">The daemon answered with an error, or with another arm; or the request does
    /// not fit into a frame.</exception>
    /// <exception cref="DaemonLostException">The daemon stayed away.</exception>
    internal async Task<RpcResponse> RequestAsync(RpcRequest request, Response expected, CancellationToken ct)
    {
        var response = await ExchangeAsync(request, ct);
        if (response.ResponseCase == Response.Error)
            throw new WorkflowException(response.Error.Code, response.Error.Message);
        if (response.ResponseCase != expected)
        {
            throw new WorkflowException(
                WorkflowException.UnexpectedReply,
                $"The daemon answered {request.RequestCase} with {response.ResponseCase}.");
        }

        return response;
    }

    private async Task<RpcResponse> ExchangeAsync(RpcRequest request, CancellationToken ct)
    {
        long? lostAt = null;
        for (var failures = 0; ; failures++)
        {
            try
            {
                var response = await ExchangeOnceAsync(request, ct);
                if (response.Error is not { } error || !error.Message.EndsWith(
                    ErrorCodes.SafeToRepeat, StringComparison.Ordinal))
                    return response;
                throw new IOException($"{error.Code}: {error.Message}");
            }
            catch (FrameTooLargeException large)
            {
                throw new WorkflowException(WorkflowException.TooLarge, large.Message, large);
            }
            catch (IOException lost)
            {
                lostAt ??= options.Time.GetTimestamp();
                if (options.Time.GetElapsedTime(lostAt.Value) >= options.ReconnectTimeout)
                {
                    throw new DaemonLostException(
                        $"No daemon at {options.SocketPath} for {options.ReconnectTimeout}: {lost.Message}", lost);
                }
            }

            DropIdle();
            await Task.Delay(Backoff(failures), options.Time, ct);
        }
    }

    private async Task<RpcResponse> ExchangeOnceAsync(RpcRequest request, CancellationToken ct)
    {
        using var late = new CancellationTokenSource(
            request.Sleep is null ? options.RequestTimeout : Timeout.InfiniteTimeSpan, options.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, ct);
        DaemonConnection? connection = null;
        try
        {
            if (!_idle.TryPop(out connection))
                connection = await DaemonConnection.OpenAsync(options.SocketPath, options.Time, either.Token);
            var response = await connection.ExchangeAsync(request, either.Token);
            Keep(connection);
            return response;
        }
        catch (Exception failure)
        {
            connection?.Dispose();
            if (failure is OperationCanceledException && late.IsCancellationRequested && !ct.IsCancellationRequested)
                throw new IOException($"The daemon did not answer {request.RequestCase} in {options.RequestTimeout}.");
            throw;
        }
    }

    private void Keep(DaemonConnection connection)
    {
        if (_idle.Count < IdleMax)
            _idle.Push(connection);
        else
            connection.Dispose();
    }

    private void DropIdle()
    {
        while (_idle.TryPop(out var connection))
            connection.Dispose();
    }

    /// <summary>Half of it fixed and half random, so that the workflows of a node do not return in step.</summary>
    private static TimeSpan Backoff(int failures)
    {
        var delay = FirstDelay * Math.Pow(2, Math.Min(failures, 16));
        return (delay < LongestDelay ? delay : LongestDelay) * (0.5 + (Random.Shared.NextDouble() / 2));
    }

    public void Dispose() => DropIdle();
}
