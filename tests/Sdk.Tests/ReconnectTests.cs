using Runtara.Protocol.Instances;
using Request = Runtara.Protocol.Instances.RpcRequest.RequestOneofCase;

namespace Runtara.Sdk.Tests;

public sealed class ReconnectTests : IDisposable
{
    private readonly FakeDaemon _daemon = new();
    private readonly StringWriter _log = new();

    public void Dispose() => _daemon.Dispose();

    [Theory]
    [InlineData(Request.RegisterInstance)]
    [InlineData(Request.GetCheckpoint)]
    [InlineData(Request.Checkpoint)]
    [InlineData(Request.InstanceEvent)]
    public async Task A_lost_reply_makes_the_same_request_be_sent_again(Request lost)
    {
        var drops = 1;
        _daemon.DropsReplyTo = r => r.RequestCase == lost && Interlocked.Decrement(ref drops) >= 0;
        var ran = 0;

        var exit = await RunAsync(workflow => workflow.Step("a", _ => { ran++; return Task.CompletedTask; }));

        Assert.Equal((WorkflowExitCode.Reported, 1), (exit, ran));
        var sent = _daemon.Requests.Where(r => r.RequestCase == lost).ToList();
        Assert.Equal(2, sent.Count);
        Assert.Equal(sent[0], sent[1]);
    }

    [Theory]
    [InlineData(Request.RegisterInstance)]
    [InlineData(Request.GetCheckpoint)]
    [InlineData(Request.Checkpoint)]
    [InlineData(Request.InstanceEvent)]
    public async Task An_error_that_says_so_makes_the_same_request_be_sent_again(Request failing)
    {
        var fails = 2;
        _daemon.Override = r => r.RequestCase == failing && Interlocked.Decrement(ref fails) >= 0
            ? new RpcResponse
            {
                Error = new()
                {
                    Code = "CHECKPOINT_ERROR", Message = "Database error: away; the request can safely be sent again",
                },
            }
            : null;

        var exit = await RunAsync(workflow => workflow.Step("a", _ => Task.CompletedTask));

        Assert.Equal(WorkflowExitCode.Reported, exit);
        Assert.Equal(3, _daemon.Count(failing));
        Assert.Contains("a", _daemon.Checkpoints.Keys);
    }

    [Fact]
    public async Task A_daemon_that_dies_during_a_sleep_is_asked_again_when_it_is_back()
    {
        _daemon.DropsReplyTo = _ => false;
        var exit = await RunAsync(async workflow =>
        {
            await workflow.Step("before", _ => Task.CompletedTask);
            var sleep = workflow.Sleep("settle", TimeSpan.FromSeconds(20));
            while (_daemon.Count(Request.Sleep) == 0)
                await Task.Yield();
            _daemon.Die();
            _daemon.SleepEnds.SetResult();
            _daemon.Revive();
            await sleep;
            await workflow.Step("after", _ => Task.CompletedTask);
        });

        Assert.Equal(WorkflowExitCode.Reported, exit);
        var sleeps = _daemon.Requests.Where(r => r.Sleep is not null).Select(r => r.Sleep).ToList();
        Assert.Equal(2, sleeps.Count);
        Assert.Equal(sleeps[0], sleeps[1]);
        Assert.Contains("after", _daemon.Checkpoints.Keys);
    }

    [Fact]
    public async Task A_daemon_that_stays_away_ends_the_process_unreported()
    {
        var exit = await RunAsync(
            async workflow =>
            {
                await workflow.Step("before", _ => Task.CompletedTask);
                _daemon.Die();
                await workflow.Step("after", _ => Task.CompletedTask);
            },
            TimeSpan.FromMilliseconds(100));

        Assert.Equal(WorkflowExitCode.DaemonLost, exit);
        Assert.Contains("No daemon at", _log.ToString());
        Assert.Empty(_daemon.Events);
    }

    [Fact]
    public async Task A_daemon_that_never_was_there_ends_the_process_unreported()
    {
        _daemon.Die();
        var exit = await RunAsync(_ => Task.CompletedTask, TimeSpan.FromMilliseconds(50));
        Assert.Equal(WorkflowExitCode.DaemonLost, exit);
    }

    [Fact]
    public async Task A_daemon_that_does_not_answer_in_time_is_asked_again()
    {
        var hang = 1;
        using var hanging = new ManualResetEventSlim();
        _daemon.Override = r =>
        {
            if (r.RequestCase == Request.GetCheckpoint && Interlocked.Decrement(ref hang) >= 0)
                hanging.Wait();
            return null;
        };

        var exit = await RunAsync(
            workflow => workflow.Step("a", _ => Task.CompletedTask), request: TimeSpan.FromMilliseconds(500));
        hanging.Set();

        Assert.Equal((WorkflowExitCode.Reported, 2), (exit, _daemon.Count(Request.GetCheckpoint)));
    }

    private Task<int> RunAsync(
        Func<WorkflowContext, Task> body, TimeSpan? reconnect = null, TimeSpan? request = null)
    {
        var path = Path.Combine(_daemon.Folder, "input.json");
        File.WriteAllText(path, """{"Id":7}""");
        var options = new WorkflowOptions
        {
            InstanceId = "i-1",
            TenantId = "t-1",
            SocketPath = _daemon.SocketPath,
            InputPath = path,
            Log = _log,
            HeartbeatInterval = TimeSpan.Zero,
            ReconnectTimeout = reconnect ?? TimeSpan.FromSeconds(30),
            RequestTimeout = request ?? TimeSpan.FromSeconds(30),
        };
        return Workflow.RunAsync(
            async (workflow, _) => { await body(workflow); return new Receipt("done"); },
            Json.Default.Order, Json.Default.Receipt, options);
    }
}
