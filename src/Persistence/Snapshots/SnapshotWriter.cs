using System.Threading.Channels;

namespace Runtara.Persistence.Snapshots;

/// <summary>A snapshot to be saved.</summary>
/// <param name="PersistenceId">Whose it is.</param>
/// <param name="SequenceNr">The event that it follows.</param>
/// <param name="ToRow">Serializes it, when its turn has come.</param>
/// <param name="Done">Told once how it went; null: it is stored, or a newer one was.</param>
internal sealed record SnapshotSave(
    string PersistenceId, long SequenceNr, Func<SnapshotRow> ToRow, Action<Exception?> Done);

/// <summary>A snapshot that is beyond <see cref="StoreOptions.SnapshotBytesMax"/>.</summary>
internal sealed class SnapshotTooLargeException(string message) : Exception(message);

/// <summary>
/// Saves snapshots one after the other, so that only one is in memory as bytes. Nobody waits for them, and one that
/// cannot be saved is logged and forgotten.
/// </summary>
internal sealed class SnapshotWriter : IAsyncDisposable
{
    // Of how many instances it is remembered that it was said.
    private const int TooLargeMax = 10_000;

    private readonly Channel<SnapshotSave> _queue =
        Channel.CreateUnbounded<SnapshotSave>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly Database _database;
    private readonly StoreOptions _options;
    private readonly HashSet<string> _tooLarge = [];
    private readonly Task _loop;

    public SnapshotWriter(Database database, StoreOptions options)
    {
        (_database, _options) = (database, options);
        _loop = Task.Run(RunAsync);
    }

    public void Enqueue(SnapshotSave save)
    {
        if (!_queue.Writer.TryWrite(save))
            save.Done(new ObjectDisposedException(nameof(Store)));
    }

    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _stop.CancelAsync();
        await _loop;
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        await foreach (var save in _queue.Reader.ReadAllAsync())
        {
            if (await StoreAsync(save) is not { } cause)
                continue;
            // Each of those that wait would wait as long again, and what made it wait is the same.
            while (_database.IsOutage(cause) && _queue.Reader.TryRead(out var next))
                Fail(next, cause);
        }
    }

    private async ValueTask<Exception?> StoreAsync(SnapshotSave save)
    {
        try
        {
            _stop.Token.ThrowIfCancellationRequested();
            var row = save.ToRow();
            if (row.Payload.Length > _options.SnapshotBytesMax)
                return Refuse(save, row.Payload.Length);
            await _database.RetryAsync(
                async token =>
                {
                    await _database.SaveSnapshotAsync(row, token);
                    return true;
                },
                _stop.Token);
            save.Done(null);
            return null;
        }
        // Whatever is wrong with it or with the database: the journal has everything.
        catch (Exception e)
        {
            Fail(save, e);
            return e;
        }
    }

    // Once for each instance: the next one will be as large.
    private SnapshotTooLargeException Refuse(SnapshotSave save, int bytes)
    {
        if (_tooLarge.Count >= TooLargeMax)
            _tooLarge.Clear();
        var cause = new SnapshotTooLargeException(
            $"it has {bytes} bytes, the limit is {_options.SnapshotBytesMax} (instances.snapshot-bytes-max)");
        if (_tooLarge.Add(save.PersistenceId))
            Logs.SnapshotNotSaved(_options.Logger, save.PersistenceId, save.SequenceNr, cause.Message);
        save.Done(cause);
        return cause;
    }

    private void Fail(SnapshotSave save, Exception cause)
    {
        if (!_stop.IsCancellationRequested)
            Logs.SnapshotNotSaved(_options.Logger, save.PersistenceId, save.SequenceNr, cause.Message);
        save.Done(cause);
    }
}
