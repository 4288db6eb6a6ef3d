using Runtara.Protocol.Instances;

namespace Runtara.Sdk;

/// <summary>What operators have asked of this instance so far: cancel beats pause, and neither is taken back.</summary>
internal sealed class Signals : IDisposable
{
    private readonly CancellationTokenSource _cancel = new();
    private volatile bool _pause;

    /// <summary>Cancelled when the instance is; a pause waits for the next step instead.</summary>
    internal CancellationToken Cancelled => _cancel.Token;

    internal void Note(Signal? signal)
    {
        switch (signal?.SignalType)
        {
            case SignalType.SignalCancel:
                _cancel.Cancel();
                break;
            case SignalType.SignalPause:
                _pause = true;
                break;
        }
    }

    /// <exception cref="WorkflowCancelledException"><paramref name="waiting"/> was given up because of
    /// <see cref="Cancelled"/>, which it must have been handed.</exception>
    internal async Task<T> UntilCancelledAsync<T>(Task<T> waiting)
    {
        await UntilCancelledAsync((Task)waiting);
        return await waiting;
    }

    /// <inheritdoc cref="UntilCancelledAsync{T}"/>
    internal async Task UntilCancelledAsync(Task waiting)
    {
        try
        {
            await waiting;
        }
        catch (OperationCanceledException) when (_cancel.IsCancellationRequested)
        {
            throw new WorkflowCancelledException();
        }
    }

    internal void ThrowIfAsked()
    {
        if (_cancel.IsCancellationRequested)
            throw new WorkflowCancelledException();
        if (_pause)
            throw new WorkflowPausedException();
    }

    public void Dispose() => _cancel.Dispose();
}
