using System.Threading.Channels;

namespace Runtara.Persistence.Queries;

/// <summary>One checkpoint that somebody waits for.</summary>
internal sealed class CheckpointRead(string instanceId, string key)
{
    private readonly TaskCompletionSource<ReadOnlyMemory<byte>?> _answer =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string InstanceId { get; } = instanceId;

    public string Key { get; } = key;

    public Task<ReadOnlyMemory<byte>?> Answer => _answer.Task;

    public void Found(byte[] state) => _answer.TrySetResult(state);

    public void Missing() => _answer.TrySetResult(null);

    public void Fail(Exception cause) => _answer.TrySetException(cause);
}

/// <summary>
/// Reads checkpoints, all that wait with one query: a restarted workflow asks for each of its steps, and thousands may
/// restart together.
/// </summary>
internal sealed class CheckpointReader : IAsyncDisposable
{
    private const int Readers = 2;
    private const int BatchMax = 128;

    private readonly Channel<CheckpointRead> _queue = Channel.CreateUnbounded<CheckpointRead>();
    private readonly CancellationTokenSource _stop = new();
    private readonly Database _database;
    private readonly Task[] _loops;

    public CheckpointReader(Database database)
    {
        _database = database;
        _loops = Enumerable.Range(0, Readers).Select(_ => Task.Run(RunAsync)).ToArray();
    }

    public ValueTask<ReadOnlyMemory<byte>?> ReadAsync(string instanceId, string key, CancellationToken cancellation)
    {
        var read = new CheckpointRead(instanceId, key);
        if (!_queue.Writer.TryWrite(read))
            read.Fail(new ObjectDisposedException(nameof(Store)));
        return new ValueTask<ReadOnlyMemory<byte>?>(read.Answer.WaitAsync(cancellation));
    }

    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _stop.CancelAsync();
        await Task.WhenAll(_loops);
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        var batch = new List<CheckpointRead>();
        while (await _queue.Reader.WaitToReadAsync(CancellationToken.None))
        {
            batch.Clear();
            while (batch.Count < BatchMax && _queue.Reader.TryRead(out var read))
                batch.Add(read);
            if (batch.Count > 0)
                await AnswerAsync(batch);
        }
    }

    private async ValueTask AnswerAsync(List<CheckpointRead> batch)
    {
        try
        {
            await _database.RetryAsync(
                async token => { await _database.ReadCheckpointsAsync(batch, token); return true; }, _stop.Token);
            batch.ForEach(r => r.Missing());
        }
        catch (Exception e)
        {
            batch.ForEach(r => r.Fail(e));
        }
    }
}
