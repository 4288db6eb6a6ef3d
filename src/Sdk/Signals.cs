using Runtara.Protocol.Instances;

namespace Runtara.Sdk;

/// <summary>What operators have asked of this instance so far: cancel beats pause, and neither is taken back.</summary>
internal sealed class Signals : IDisposable
{
    private readonly CancellationTokenSource _cancel = new();
    private volatile bool _pause;

    /// <summary>Cancelled when the instance is; a pause waits for the next step instead.</summary>
    internal CancellationToken Cancelled => _cancel.Token;

    internal bool IsAsked => _pause || _cancel.IsCancellationRequested;

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

    internal void ThrowIfAsked()
    {
        if (_cancel.IsCancellationRequested)
            throw new WorkflowCancelledException();
        if (_pause)
            throw new WorkflowPausedException();
    }

    public void Dispose() => _cancel.Dispose();
}
