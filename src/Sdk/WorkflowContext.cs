using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Google.Protobuf;
using Runtara.Protocol.Instances;

namespace Runtara.Sdk;

/// <summary>
/// What a workflow may do. After a crash, a pause or a long sleep the workflow runs again from its first line, and each
/// <see cref="Step{T}"/>, <see cref="Sleep"/> and <see cref="WaitForSignal{T}"/> that has a result gives that result
/// at once. Code outside of them must therefore do the same each time. Keys name results within the instance: the
/// same key later in the run gives the same result again; put a loop's index into its keys. Safe for concurrent use.
/// </summary>
public sealed class WorkflowContext
{
    private static readonly ByteString Nothing = ByteString.CopyFromUtf8("null");

    private readonly InstanceCalls _calls;
    private readonly WorkflowOptions _options;
    private readonly Signals _signals;
    private readonly ConcurrentDictionary<string, bool> _keysInUse = new();
    private readonly Awake _awake;

    internal WorkflowContext(InstanceCalls calls, WorkflowOptions options, Signals signals)
    {
        _calls = calls;
        _options = options;
        _signals = signals;
        _awake = new Awake(calls, options, signals);
    }

    /// <summary>Id of the instance; the same for all its attempts, so good for idempotency keys.</summary>
    public string InstanceId => _options.InstanceId;

    /// <summary>Owner of the instance.</summary>
    public string TenantId => _options.TenantId;

    /// <summary>Number of this launch, from 1.</summary>
    public int Attempt => _options.Attempt;

    /// <summary>Folder that all attempts of the instance share.</summary>
    public string WorkspaceDir => _options.WorkspaceDir;

    /// <summary>Cancelled when the instance is; also handed to every step's body.</summary>
    public CancellationToken CancellationToken => _signals.Cancelled;

    /// <summary>Whether a sleep is waited in and no step runs; what code outside of steps does is not known.</summary>
    internal bool IsAsleep => _awake.IsAsleep;

    /// <summary>
    /// Runs <paramref name="body"/> once and saves its result. When it returns, the result is durable and the body
    /// never runs again for this key. A crash within the body, or before its result is saved, runs it again.
    /// </summary>
    /// <param name="key">Name of the result within the instance.</param>
    /// <param name="body">The work. An exception passes through and saves nothing.</param>
    /// <param name="type">How the result is written as JSON; at most 16 MiB.</param>
    /// <param name="retry">How often to try the body; default once.</param>
    /// <returns>The saved result: the first one, should an earlier attempt have saved another.</returns>
    /// <exception cref="WorkflowException">The key is in use (<c>KEY_IN_USE</c>), what is saved is not a
    /// <typeparamref name="T"/> (<c>NOT_DECODABLE</c>), the result does not fit into a frame (<c>TOO_LARGE</c>), or the
    /// daemon refused (<c>CHECKPOINT_ERROR</c>).</exception>
    /// <exception cref="WorkflowCancelledException">Cancelled before the body began, or between two tries.</exception>
    /// <exception cref="WorkflowPausedException">Paused before the body began, or between two tries.</exception>
    public async Task<T> Step<T>(
        string key, Func<CancellationToken, Task<T>> body, JsonTypeInfo<T> type, StepRetry? retry = null)
    {
        using var claim = Claim(key);
        using var work = _awake.Step();
        var saved = await LookUpAsync(key);
        if (saved.Found)
            return Decode(key, saved.State, type);
        var value = await TryAsync(key, body, retry ?? StepRetry.None);
        var state = ByteString.CopyFrom(JsonSerializer.SerializeToUtf8Bytes(value, type));
        var reply = await SaveAsync(key, state);
        return reply.Found ? Decode(key, reply.State, type) : value;
    }

    /// <summary>As <see cref="Step{T}"/>, for work without a result.</summary>
    /// <param name="key">Name of the step within the instance.</param>
    /// <param name="body">The work. An exception passes through and saves nothing.</param>
    /// <param name="retry">How often to try the body; default once.</param>
    public async Task Step(string key, Func<CancellationToken, Task> body, StepRetry? retry = null)
    {
        using var claim = Claim(key);
        using var work = _awake.Step();
        if ((await LookUpAsync(key)).Found)
            return;
        await TryAsync(key, async ct => { await body(ct); return true; }, retry ?? StepRetry.None);
        await SaveAsync(key, Nothing);
    }

    /// <summary>
    /// Waits. The first request fixes when the sleep ends, whatever happens in between. The daemon may stop the process
    /// during a long sleep and launch it again at its end, once the workflow has asked nothing for 2 s: a step that
    /// runs beside the sleep goes on undisturbed, but code outside of steps may be stopped anywhere. A sleep that is no
    /// longer awaited, as after <see cref="Task.WhenAny(Task[])"/>, counts until its time is over.
    /// </summary>
    /// <param name="key">Name of the sleep within the instance.</param>
    /// <param name="duration">How long; rounded up to milliseconds, negative means zero.</param>
    /// <exception cref="WorkflowCancelledException">Cancelled before or during the sleep.</exception>
    /// <exception cref="WorkflowPausedException">Paused before the sleep.</exception>
    public async Task Sleep(string key, TimeSpan duration)
    {
        using var claim = Claim(key);
        using var asleep = _awake.Sleep();
        var atLeastZero = duration < TimeSpan.Zero ? TimeSpan.Zero : duration;
        await _signals.UntilCancelledAsync(_calls.SleepAsync(key, atLeastZero, _signals.Cancelled));
    }

    /// <summary>Waits for a custom signal sent to this instance and <paramref name="key"/>, and saves it.</summary>
    /// <param name="key">Name that the sender uses; each key gives one signal, the first.</param>
    /// <param name="type">How the signal's bytes are read as JSON.</param>
    /// <exception cref="WorkflowException">As <see cref="Step{T}"/>.</exception>
    /// <exception cref="WorkflowCancelledException">Cancelled before or during the wait.</exception>
    /// <exception cref="WorkflowPausedException">Paused before or during the wait. A signal that came with the pause is
    /// saved all the same.</exception>
    public async Task<T> WaitForSignal<T>(string key, JsonTypeInfo<T> type)
    {
        using var claim = Claim(key);
        var saved = await LookUpAsync(key);
        while (!saved.Found)
        {
            var (polled, kept) = await _signals.UntilCancelledAsync(_calls.TakeSignalAsync(key, _signals.Cancelled));
            _signals.Note(polled.Signal);
            _signals.ThrowIfAsked();
            _signals.Note(kept?.PendingSignal);
            if (kept is not null)
                return Decode(key, kept.Found ? kept.State : polled.CustomSignal.Payload, type);
            await DelayAsync(_options.SignalPollInterval);
        }

        return Decode(key, saved.State, type);
    }

    /// <summary>Tells those who watch the instance how far it is. Told again when the workflow runs again.</summary>
    /// <param name="subtype">Name of the event.</param>
    /// <param name="payload">Bytes to keep with it, JSON by custom; at most 4 MiB.</param>
    /// <exception cref="WorkflowException">The daemon refused the event, or it does not fit into a frame.</exception>
    /// <exception cref="WorkflowCancelledException">Cancelled.</exception>
    /// <exception cref="WorkflowPausedException">Paused.</exception>
    public Task Progress(string subtype, ReadOnlyMemory<byte> payload = default)
    {
        _signals.ThrowIfAsked();
        var bytes = ByteString.CopyFrom(payload.Span);
        return _signals.UntilCancelledAsync(
            _calls.EventAsync(InstanceEventType.EventCustom, subtype, bytes, _signals.Cancelled));
    }

    /// <summary>As <see cref="Progress(string, ReadOnlyMemory{byte})"/>, with a payload written as JSON.</summary>
    /// <param name="subtype">Name of the event.</param>
    /// <param name="payload">Value to keep with it.</param>
    /// <param name="type">How the value is written.</param>
    public Task Progress<T>(string subtype, T payload, JsonTypeInfo<T> type) =>
        Progress(subtype, JsonSerializer.SerializeToUtf8Bytes(payload, type));

    private async Task<T> TryAsync<T>(string key, Func<CancellationToken, Task<T>> body, StepRetry retry)
    {
        for (var attempt = 1; ; attempt++)
        {
            Exception failure;
            try
            {
                return await body(_signals.Cancelled);
            }
            catch (Exception thrown) when (attempt < retry.Attempts)
            {
                failure = thrown;
            }

            // A failure that would be tried again is not the workflow's: with a pause the next run tries again.
            _signals.ThrowIfAsked();
            await DelayAsync(retry.DelayAfter(attempt));
            _signals.ThrowIfAsked();
            await _signals.UntilCancelledAsync(
                _calls.RetryAsync(key, attempt + 1, failure.Message, _signals.Cancelled));
        }
    }

    private Task<GetCheckpointResponse> LookUpAsync(string key) =>
        _signals.UntilCancelledAsync(_calls.GetCheckpointAsync(key, _signals.Cancelled));

    private Task DelayAsync(TimeSpan delay) =>
        _signals.UntilCancelledAsync(Task.Delay(delay, _options.Time, _signals.Cancelled));

    /// <summary>Not cancellable: work that is done is worth its checkpoint even when the instance is to end.</summary>
    private async Task<CheckpointResponse> SaveAsync(string key, ByteString state)
    {
        var reply = await _calls.CheckpointAsync(key, state, CancellationToken.None);
        _signals.Note(reply.PendingSignal);
        return reply;
    }

    private static T Decode<T>(string key, ByteString state, JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(state.Span, type)!;
        }
        catch (JsonException mismatch)
        {
            throw new WorkflowException(
                WorkflowException.NotDecodable,
                $"What is saved under '{key}' is not a {type.Type.Name}: {mismatch.Message} "
                + "When a result changes its shape, its step needs a new key.",
                mismatch);
        }
    }

    private KeyClaim Claim(string key)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        _signals.ThrowIfAsked();
        return _keysInUse.TryAdd(key, true) ? new KeyClaim(_keysInUse, key) : throw new WorkflowException(
            WorkflowException.KeyInUse,
            $"The key '{key}' is in use by another step that has not ended. Give each its own key.");
    }

    /// <summary>The run is over.</summary>
    internal void End() => _awake.Dispose();

    private readonly struct KeyClaim(ConcurrentDictionary<string, bool> keys, string key) : IDisposable
    {
        public void Dispose() => keys.TryRemove(key, out _);
    }
}
