using System.IO.Pipelines;
using Google.Protobuf;

namespace Runtara.Protocol;

/// <summary>
/// The reading of a frame that is not there yet. The payload leaves the pipe as it arrives: a transport with flow
/// control grants credit for consumed bytes only, so waiting for a whole frame larger than its window would never end.
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

    internal async ValueTask<FrameRead<T>> RunAsync(ReadResult? first = null)
    {
        FrameHeader header = default;
        try
        {
            var result = first ?? await NextAsync(limits.StallBeforeFirstByte);
            while (!FrameHeader.TryRead(Checked(result).Buffer, out header))
            {
                var seen = result.Buffer.Length;
                input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
                if (result.IsCompleted)
                    return seen == 0 ? Failed(FrameOutcome.EndOfStream) : Failed(FrameOutcome.Truncated, seen);
                result = await NextAsync(seen > 0 || limits.StallBeforeFirstByte);
            }

            var verdict = header.Check(limits);
            if (verdict == FrameOutcome.Complete)
                return await PayloadAsync(header, result);
            input.AdvanceTo(result.Buffer.GetPosition(FrameHeader.Bytes));
            return Failed(verdict, header: header);
        }
        catch (OperationCanceledException)
            when (_stall is { IsCancellationRequested: true } && !ct.IsCancellationRequested)
        {
            return Failed(FrameOutcome.Stalled, header: header);
        }
        catch (IOException broken)
        {
            return new FrameRead<T>(FrameOutcome.Truncated, header.Type, null, broken.Message);
        }
        finally
        {
            _either?.Dispose();
            _stall?.Dispose();
        }
    }

    private async ValueTask<FrameRead<T>> PayloadAsync(FrameHeader header, ReadResult result)
    {
        var buffer = result.Buffer.Slice(FrameHeader.Bytes);
        if (buffer.Length >= header.PayloadBytes)
        {
            var whole = buffer.Slice(0, header.PayloadBytes);
            var read = FrameReader.Parse(parser, header.Type, whole);
            input.AdvanceTo(whole.End);
            return read;
        }

        using var payload = new PooledBytes();
        while (true)
        {
            var piece = buffer.Slice(0, Math.Min(buffer.Length, header.PayloadBytes - payload.Length));
            payload.Append(piece);
            input.AdvanceTo(piece.End);
            if (payload.Length == header.PayloadBytes)
                return FrameReader.Parse(parser, header.Type, payload.ToSequence());
            if (result.IsCompleted)
                return Failed(FrameOutcome.Truncated, FrameHeader.Bytes + payload.Length, header);
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
            _stall = new CancellationTokenSource(limits.StallTimeout, time);
            _either = CancellationTokenSource.CreateLinkedTokenSource(_stall.Token, ct);
        }
        else
        {
            _stall.CancelAfter(limits.StallTimeout);
        }

        var result = await input.ReadAsync(_either!.Token);
        _stall.CancelAfter(Timeout.InfiniteTimeSpan);
        return result;
    }

    private ReadResult Checked(ReadResult result)
    {
        if (!result.IsCanceled)
            return result;
        input.AdvanceTo(result.Buffer.Start);
        throw new OperationCanceledException("The pending read of the pipe was cancelled.");
    }

    private FrameRead<T> Failed(FrameOutcome outcome, long seen = 0, FrameHeader header = default)
    {
        var detail = outcome switch
        {
            FrameOutcome.EndOfStream => "the stream ended before a frame",
            FrameOutcome.BadType => $"type {(ushort)header.Type} is not 1 to 6",
            FrameOutcome.TooLarge => $"{header.PayloadBytes} bytes announced, {limits.PayloadBytesMax} allowed",
            FrameOutcome.Truncated => $"the stream ended after {seen} bytes of a frame",
            _ => $"no byte for {limits.StallTimeout.TotalSeconds:0.###} s within a frame",
        };
        return new FrameRead<T>(outcome, header.Type, null, detail);
    }
}
