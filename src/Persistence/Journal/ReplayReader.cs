using System.Threading.Channels;
using Runtara.Persistence.Snapshots;

namespace Runtara.Persistence.Journal;

/// <summary>Answers recoveries, all that wait with one query, on two connections.</summary>
internal sealed class ReplayReader : IAsyncDisposable
{
    private const int Readers = 2;

    private readonly Channel<RecoveryRead> _queue = Channel.CreateUnbounded<RecoveryRead>();
    private readonly CancellationTokenSource _stop = new();
    private readonly Database _database;
    private readonly StoreOptions _options;
    private readonly Task[] _loops;

    public ReplayReader(Database database, StoreOptions options)
    {
        (_database, _options) = (database, options);
        _loops = Enumerable.Range(0, Readers).Select(_ => Task.Run(RunAsync)).ToArray();
    }

    public void Enqueue(RecoveryRead read)
    {
        if (!_queue.Writer.TryWrite(read))
            read.Fail(new ObjectDisposedException(nameof(Store)));
    }

    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _stop.CancelAsync();
        await Task.WhenAll(_loops);
        while (_queue.Reader.TryRead(out var read))
            read.Fail(new ObjectDisposedException(nameof(Store)));
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        await using var source = _database.OpenReplaySource();
        var batch = new List<RecoveryRead>();
        while (await WaitAsync())
        {
            batch.Clear();
            while (batch.Count < _options.ReplayBatchMax && _queue.Reader.TryRead(out var read))
                batch.Add(read);
            await AnswerAsync(source, batch.OfType<SnapshotRead>().ToList(), source.ReadSnapshotsAsync);
            await AnswerAsync(source, batch.OfType<Replay>().ToList(), source.ReadAsync);
        }
    }

    private async ValueTask<bool> WaitAsync()
    {
        try
        {
            return await _queue.Reader.WaitToReadAsync(_stop.Token);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async ValueTask AnswerAsync<T>(
        IReplaySource source, List<T> batch, Func<IReadOnlyList<T>, CancellationToken, ValueTask> read)
        where T : RecoveryRead
    {
        Backoff? backoff = null;
        while (batch.Count > 0)
        {
            try
            {
                await read(batch, _stop.Token);
                return;
            }
            catch (Exception e) when (_database.IsOutage(e) && backoff is not { IsOver: true })
            {
                backoff ??= new Backoff(_options);
                await source.ResetAsync();
                batch.RemoveAll(r => r.IsFinished);
                await PauseAsync(backoff);
            }
            catch (Exception e)
            {
                batch.ForEach(r => r.Fail(e));
                await source.ResetAsync();
                return;
            }
        }
    }

    private async Task PauseAsync(Backoff backoff)
    {
        try
        {
            await backoff.PauseAsync(_stop.Token);
        }
        catch (OperationCanceledException)
        {
            // The next read ends with the same cancellation and fails the recoveries.
        }
    }
}
