using System.IO.Pipelines;
using Google.Protobuf;

namespace Runtara.Protocol;

/// <summary>
/// The reading of a frame that is not there yet. The payload leaves the pipe as it arrives: a transport with flow
/// control grants credit for consumed bytes only, so waiting for a whole frame larger than its window would never end.
/// A payload that needs room stays in the pipe until it has it, which makes its sender wait too.
/// </summary>
internal sealed class FrameReading<T>(
    PipeReader input,
    MessageParser<T> parser,
    FrameLimits limits,
    TimeProvider time,
    CancellationToken ct)
    where T : class, IMessage<T>
{
    private CancellationTokenSource? _stall;
    private CancellationTokenSource? _either;
    private FrameHeader _header;
    private IDisposable? _room;
    private long _roomSince;

    internal async ValueTask<FrameRead<T>> RunAsync(ReadResult? first = null)
    {
        var isComplete = false;
        try
        {
            var read = await FrameAsync(first);
            isComplete = read.IsComplete;
            return read;
        }
        catch (OperationCanceledException)
            when (_stall is { IsCancellationRequested: true } && !ct.IsCancellationRequested)
        {
            return Failed(FrameOutcome.Stalled);
        }
        catch (IOException broken)
        {
            return new FrameRead<T>(FrameOutcome.Truncated, _header.Type, null, broken.Message);
        }
        finally
        {
            if (!isComplete)
                _room?.Dispose();
            _either?.Dispose();
            _stall?.Dispose();
        }
    }

    private async ValueTask<FrameRead<T>> FrameAsync(ReadResult? first)
    {
        var result = first ?? await NextAsync(limits.StallBeforeFirstByte);
        while (!FrameHeader.TryRead(Checked(result).Buffer, out _header))
        {
            var seen = result.Buffer.Length;
            input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            if (result.IsCompleted)
                return seen == 0 ? Failed(FrameOutcome.EndOfStream) : Failed(FrameOutcome.Truncated, seen);
            result = await NextAsync(seen > 0 || limits.StallBeforeFirstByte);
        }

        var verdict = _header.Check(limits);
        if (verdict != FrameOutcome.Complete)
        {
            input.AdvanceTo(result.Buffer.GetPosition(FrameHeader.Bytes));
            return Failed(verdict);
        }

        if (FrameReader.TryReserve(limits, _header, out _room))
        {
            _roomSince = time.GetTimestamp();
            return await PayloadAsync(result);
        }

        input.AdvanceTo(result.Buffer.Start);
        _room = await limits.Share!.ReserveAsync(_header.PayloadBytes, limits.StallTimeout, time, ct);
        if (_room is null)
            return Failed(FrameOutcome.NoRoom);
        _roomSince = time.GetTimestamp();
        return await PayloadAsync(Checked(await NextAsync(stallable: true)));
    }

    private async ValueTask<FrameRead<T>> PayloadAsync(ReadResult result)
    {
        var buffer = result.Buffer.Slice(FrameHeader.Bytes);
        if (buffer.Length >= _header.PayloadBytes)
        {
            var whole = buffer.Slice(0, _header.PayloadBytes);
            var read = FrameReader.Parse(parser, _header.Type, whole, _room);
            input.AdvanceTo(whole.End);
            return read;
        }

        using var payload = new PooledBytes();
        while (true)
        {
            var piece = buffer.Slice(0, Math.Min(buffer.Length, _header.PayloadBytes - payload.Length));
            payload.Append(piece);
            input.AdvanceTo(piece.End);
            if (payload.Length == _header.PayloadBytes)
                return FrameReader.Parse(parser, _header.Type, payload.ToSequence(), _room);
            if (result.IsCompleted)
                return Failed(FrameOutcome.Truncated, FrameHeader.Bytes + payload.Length);
            if (Patience() == TimeSpan.Zero)
                return Failed(FrameOutcome.Stalled);
            result = Checked(await NextAsync(stallable: true));
            buffer = result.Buffer;
        }
    }

    private ValueTask<ReadResult> NextAsync(bool stallable)
    {
        if (!stallable || limits.StallTimeout == Timeout.InfiniteTimeSpan)
            return input.ReadAsync(ct);
        return input.TryRead(out var there) ? new ValueTask<ReadResult>(there) : WaitAsync();
    }

    private async ValueTask<ReadResult> WaitAsync()
    {
        if (_stall is null)
        {
            _stall = new CancellationTokenSource(Patience(), time);
            _either = CancellationTokenSource.CreateLinkedTokenSource(_stall.Token, ct);
        }
        else
        {
            _stall.CancelAfter(Patience());
        }

        var result = await input.ReadAsync(_either!.Token);
        _stall.CancelAfter(Timeout.InfiniteTimeSpan);
        return result;
    }

    /// <summary>How long the next byte may take.</summary>
    private TimeSpan Patience()
    {
        if (_room is null || limits.StallTimeout == Timeout.InfiniteTimeSpan)
            return limits.StallTimeout;
        var left = limits.WholeWithin(_header.PayloadBytes) - time.GetElapsedTime(_roomSince);
        return TimeSpan.FromTicks(Math.Clamp(left.Ticks, 0, limits.StallTimeout.Ticks));
    }

    private ReadResult Checked(ReadResult result)
    {
        if (!result.IsCanceled)
            return result;
        input.AdvanceTo(result.Buffer.Start);
        throw new OperationCanceledException("The pending read of the pipe was cancelled.");
    }

    private FrameRead<T> Failed(FrameOutcome outcome, long seen = 0)
    {
        var detail = outcome switch
        {
            FrameOutcome.EndOfStream => "the stream ended before a frame",
            FrameOutcome.BadType => $"type {(ushort)_header.Type} is not 1 to 6",
            FrameOutcome.TooLarge => $"{_header.PayloadBytes} bytes announced, {limits.PayloadBytesMax} allowed",
            FrameOutcome.Truncated => $"the stream ended after {seen} bytes of a frame",
            FrameOutcome.NoRoom =>
                $"no room for {_header.PayloadBytes} bytes within {limits.StallTimeout.TotalSeconds:0.###} s",
            _ when _room is not null => $"{_header.PayloadBytes} bytes did not come within "
                + $"{limits.WholeWithin(_header.PayloadBytes).TotalSeconds:0.###} s, or none came for "
                + $"{limits.StallTimeout.TotalSeconds:0.###} s",
            _ => $"no byte for {limits.StallTimeout.TotalSeconds:0.###} s within a frame",
        };
        return new FrameRead<T>(outcome, _header.Type, null, detail);
    }
}
