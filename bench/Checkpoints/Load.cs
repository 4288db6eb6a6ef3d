using System.Diagnostics;
using Google.Protobuf;
using Runtara.Protocol.Instances;

namespace Runtara.Bench.Checkpoints;

/// <summary>
/// A closed loop: each instance saves a new checkpoint as soon as the one before is acknowledged. Only requests that
/// began and ended within the measured time count.
/// </summary>
internal sealed class Load(LoadOptions options)
{
    private readonly ByteString _state = RandomState(options.Bytes);
    private long _from = long.MaxValue;
    private volatile bool _stop;

    public async Task<Result> RunAsync()
    {
        var callers = await Caller.ConnectAsync(options);
        foreach (var caller in callers)
            await RegisterAsync(caller);
        var working = callers.Select(caller => Task.Run(() => SaveAsync(caller))).ToArray();
        await PassAsync(options.WarmUp, working);
        var before = Sample();
        Volatile.Write(ref _from, before.At);
        await PassAsync(options.Measured, working);
        var after = Sample();
        _stop = true;
        var ticks = (await Task.WhenAll(working)).SelectMany(saved => saved)
            .Where(saved => saved.Ended <= after.At)
            .Select(saved => saved.Ended - saved.Began).ToArray();
        foreach (var caller in callers)
            await caller.DisposeAsync();
        Array.Sort(ticks);
        return new Result(options, ticks, Stopwatch.GetElapsedTime(before.At, after.At), before, after);
    }

    // An instance that fails ends the measurement at once.
    private static async Task PassAsync(TimeSpan time, Task[] working)
    {
        var passed = Task.Delay(time);
        if (await Task.WhenAny([passed, .. working]) is var first && first != passed)
            await first;
    }

    private static async Task RegisterAsync(Caller caller)
    {
        var reply = await caller.CallAsync(new RpcRequest
        {
            RegisterInstance = new() { InstanceId = caller.Instance, TenantId = "bench" },
        });
        if (reply.RegisterInstance is not { Success: true })
            throw new IOException($"{caller.Instance} could not register: {reply}");
    }

    private async Task<List<(long Began, long Ended)>> SaveAsync(Caller caller)
    {
        var saved = new List<(long, long)>(1 << 16);
        for (var number = 0; !_stop; number++)
        {
            var request = new RpcRequest
            {
                Checkpoint = new() { InstanceId = caller.Instance, CheckpointId = $"step-{number}", State = _state },
            };
            var began = Stopwatch.GetTimestamp();
            var reply = await caller.CallAsync(request);
            var ended = Stopwatch.GetTimestamp();
            if (reply.Checkpoint is not { Found: false })
                throw new IOException($"{caller.Instance} could not save step-{number}: {reply}");
            if (began >= Volatile.Read(ref _from))
                saved.Add((began, ended));
        }
        return saved;
    }

    private CpuSample Sample() => new(
        Stopwatch.GetTimestamp(), CpuTime.OfTree(Environment.ProcessId), CpuTime.OfTree(options.DaemonPid),
        CpuTime.OfTree(options.DatabasePid));

    private static ByteString RandomState(int bytes)
    {
        var state = new byte[bytes];
        Random.Shared.NextBytes(state);
        return ByteString.CopyFrom(state);
    }
}

/// <summary>CPU seconds used so far, at a moment.</summary>
internal sealed record CpuSample(long At, double? Client, double? Daemon, double? Database);
