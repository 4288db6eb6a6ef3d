using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Runtara.Persistence.Journal;

/// <summary>
/// Group commit: everything that waits goes into one transaction, and the next one forms while it commits. There is no
/// timer, so a lone writer pays no delay.
/// </summary>
internal sealed class CommitLane
{
    private readonly Channel<WriteRequest> _queue =
        Channel.CreateUnbounded<WriteRequest>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly Database _database;
    private readonly StoreOptions _options;
    private readonly Action<WriteRequest> _done;
    private readonly IJournalLane _lane;
    private readonly Task _loop;

    public CommitLane(Database database, StoreOptions options, Action<WriteRequest> done)
    {
        (_database, _options, _done) = (database, options, done);
        _lane = database.OpenLane();
        _loop = database.Blocks
            ? Task.Factory.StartNew(
                () => RunAsync().GetAwaiter().GetResult(), CancellationToken.None, TaskCreationOptions.LongRunning,
                TaskScheduler.Default)
            : Task.Run(RunAsync);
    }

    public void Enqueue(WriteRequest request)
    {
        if (!_queue.Writer.TryWrite(request))
        {
            FailAll([request], new ObjectDisposedException(nameof(Store)));
            _done(request);
        }
    }

    /// <summary>Finishes what is queued; after <paramref name="grace"/> it fails instead.</summary>
    public async ValueTask StopAsync(TimeSpan grace)
    {
        _queue.Writer.TryComplete();
        _stop.CancelAfter(grace);
        await _loop;
        await _lane.DisposeAsync();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        var batch = new List<WriteRequest>();
        while (await WaitAsync())
        {
            batch.Clear();
            var (rows, bytes) = (0, 0);
            while (_queue.Reader.TryPeek(out var next)
                && (batch.Count == 0
                    || (rows + next.Rows <= _options.CommitRowsMax && bytes + next.Bytes <= _options.CommitBytesMax)))
            {
                _queue.Reader.TryRead(out _);
                batch.Add(next);
                rows += next.Rows;
                bytes += next.Bytes;
            }
            await StoreAsync(batch);
            foreach (var request in batch)
                _done(request);
        }
    }

    // A blocking database has a thread of its own; awaiting would move the loop to the pool.
    private ValueTask<bool> WaitAsync() =>
        _database.Blocks
            ? ValueTask.FromResult(_queue.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
            : _queue.Reader.WaitToReadAsync();

    private Task PauseAsync(Outage outage)
    {
        var pause = outage.PauseAsync(_stop.Token);
        if (_database.Blocks)
            pause.GetAwaiter().GetResult();
        return pause;
    }

    private async ValueTask StoreAsync(List<WriteRequest> batch)
    {
        var units = batch.SelectMany(r => r.Units).Where(u => u.Rejection is null).ToList();
        try
        {
            await StoreAsync(units);
        }
        catch (Exception e)
        {
            if (_database.IsOutage(e))
                Logs.OutageTooLong(_options.Logger, units.Count, _database.Describe(e) ?? e.Message);
            else
                Logs.WritesFailed(_options.Logger, e, units.Count);
            foreach (var unit in units)
                unit.Failure ??= unit.IsStored ? null : e;
            while (_queue.Reader.TryRead(out var next))
            {
                FailAll([next], e);
                batch.Add(next);
            }
        }
    }

    private static void FailAll(IEnumerable<WriteRequest> requests, Exception cause)
    {
        foreach (var unit in requests.SelectMany(r => r.Units))
            unit.Failure = cause;
    }

    /// <summary>
    /// Every unit ends stored or failed; throws only when an outage lasted too long. A refused transaction is cut in
    /// halves until the unit to blame stands alone.
    /// </summary>
    private async ValueTask StoreAsync(IReadOnlyList<AtomicUnit> units)
    {
        units = Unpoisoned(units);
        using var outage = new Outage(_database);
        Exception? refusal = null;
        while (units.Count > 0)
        {
            try
            {
                // A commit whose answer was lost may complete after we looked for it; then our own row is in the way.
                if (outage.HasBegun || refusal is not null)
                    units = await WithoutStoredAsync(units);
                if (refusal is not null && units.Count > 0)
                {
                    Refuse(units[0], refusal);
                    return;
                }
                if (units.Count > 0)
                {
                    await _lane.CommitAsync(units, _stop.Token);
                    outage.Ends();
                }
                MarkStored(units);
                return;
            }
            catch (Exception e) when (_database.IsOutage(e))
            {
                outage.Meets(e);
                if (outage.IsOver)
                    throw;
                await _lane.ResetAsync();
                await PauseAsync(outage);
            }
            catch (Exception e) when (e is not OperationCanceledException && units.Count > 1)
            {
                await StoreAsync(units.Take(units.Count / 2).ToList());
                await StoreAsync(units.Skip(units.Count / 2).ToList());
                return;
            }
            catch (Exception e) when (e is not OperationCanceledException && refusal is null)
            {
                refusal = e;
            }
        }
    }

    private void Refuse(AtomicUnit unit, Exception cause)
    {
        Logs.RowRefused(_options.Logger, cause, unit.PersistenceId, unit.Rows[0].SequenceNr);
        unit.Failure = cause;
        unit.Request.Poison(unit.PersistenceId, cause);
    }

    private async ValueTask<IReadOnlyList<AtomicUnit>> WithoutStoredAsync(IReadOnlyList<AtomicUnit> units)
    {
        var stored = await _lane.FindStoredAsync(units, _stop.Token);
        MarkStored(stored);
        return units.Where(u => !stored.Contains(u)).ToList();
    }

    private static void MarkStored(IEnumerable<AtomicUnit> units)
    {
        foreach (var unit in units)
            unit.IsStored = true;
    }

    private static List<AtomicUnit> Unpoisoned(IReadOnlyList<AtomicUnit> units)
    {
        var rest = new List<AtomicUnit>(units.Count);
        foreach (var unit in units)
        {
            unit.Failure = unit.Request.PoisonOf(unit.PersistenceId);
            if (unit.Failure is null)
                rest.Add(unit);
        }
        return rest;
    }
}
