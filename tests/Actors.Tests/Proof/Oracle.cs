using Runtara.Actors.Instances;

namespace Runtara.Actors.Tests.Proof;

/// <summary>
/// What the promises allow, kept apart from the machine: the simplest bookkeeping that can tell a wrong answer.
/// </summary>
internal sealed class Oracle
{
    private readonly HashSet<string> _checkpoints = [];
    private readonly Dictionary<string, DateTimeOffset> _sleeps = [];
    private readonly Dictionary<string, List<long>> _waiting = [];
    private readonly Dictionary<string, long> _given = [];
    private readonly HashSet<Guid> _requests = [];
    private DateTimeOffset? _asleepUntil;
    private long _sent;
    private (InstanceStatus Outcome, string Result)? _end;

    /// <summary>Promise 4.</summary>
    internal void Terminal_is_final(InstanceState state)
    {
        if (state is InstanceState.Ended ended)
            _end ??= (ended.Outcome, ended.Result);
        if (_end is { } end)
            Holds(state is InstanceState.Ended e && (e.Outcome, e.Result) == end, "what has ended changed again");
    }

    /// <summary>Promise 5, and what a checkpoint does to custom signals.</summary>
    internal void Checkpoints_are_first_write_wins(string key, InstanceReply? reply)
    {
        switch (reply)
        {
            case InstanceReply.CheckpointStored stored:
                Holds(_checkpoints.Add(key), $"{key} was stored twice");
                var consumed = _given.Values.ToHashSet();
                var head = Head(key);
                Holds(stored.CustomSignal == head, $"{key} came with signal {stored.CustomSignal}, not {head}");
                Progress();
                if (head is { } fresh && !consumed.Contains(fresh))
                    _given[key] = fresh;
                break;
            case InstanceReply.CheckpointFound found:
                Holds(_checkpoints.Contains(key), $"{key} was found and never stored");
                Is_given(key, found.CustomSignal);
                break;
        }
    }

    internal void A_look_up_finds_what_was_stored(string key, InstanceReply? reply)
    {
        if (reply is InstanceReply.CheckpointFound or InstanceReply.CheckpointMissing)
            Holds(reply is InstanceReply.CheckpointFound == _checkpoints.Contains(key), $"look-up of {key}");
    }

    /// <summary>Promise 6: the first request fixes the wake time; a resume ends the sleep that it finds.</summary>
    internal void A_sleep_keeps_its_wake_time(string key, TimeSpan duration, DateTimeOffset now, InstanceReply? reply)
    {
        if (key.Length == 0 || reply is not (InstanceReply.SleepUntil or InstanceReply.SleepElapsed))
            return;
        _sleeps.TryAdd(key, now + duration);
        var expected = _sleeps[key];
        Holds(
            reply is InstanceReply.SleepUntil until ? until.WakeAt == expected && expected > now : expected <= now,
            $"the sleep {key} ends at {expected}, and {reply} was said");
    }

    internal void Resumed(DateTimeOffset now)
    {
        foreach (var key in _sleeps.Keys.Where(key => _sleeps[key] > now && _sleeps[key] <= _asleepUntil).ToList())
            _sleeps[key] = now;
    }

    /// <summary>Output.json can ask for a wake: its key is then a sleep like any other.</summary>
    internal void Slept(string key, DateTimeOffset until)
    {
        _sleeps.TryAdd(key, until);
        _asleepUntil = until;
    }

    internal void Paused() => _asleepUntil = null;

    /// <summary>Promise 6: signals come in order, one at a time, and none is lost before it is consumed.</summary>
    internal void Is_given(string key, long? number)
    {
        Holds(number == Head(key), $"signal {number} of {key}, not {Head(key)}");
        if (number is { } given)
            _given[key] = given;
    }

    internal void Sent(string key, Guid request)
    {
        if (!_requests.Add(request))
            return;
        if (!_waiting.TryGetValue(key, out var queue))
            _waiting[key] = queue = [];
        queue.Add(++_sent);
    }

    /// <summary>A new checkpoint or an event: what the attempt was given is consumed.</summary>
    internal void Progress()
    {
        foreach (var (key, number) in _given)
            Holds(_waiting[key].Remove(number), $"signal {number} was consumed twice");
        _given.Clear();
    }

    internal void Launched() => _given.Clear();

    internal static void Holds(bool held, string what)
    {
        if (!held)
            throw new InvalidOperationException(what);
    }

    private long? Head(string key) => _waiting.TryGetValue(key, out var queue) && queue.Count > 0 ? queue[0] : null;
}
