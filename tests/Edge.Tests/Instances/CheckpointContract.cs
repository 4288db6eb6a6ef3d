using System.Security.Cryptography;
using Google.Protobuf;
using Runtara.Edge.Instances;
using Runtara.Edge.Tests.Harness;
using Runtara.Persistence;
using Runtara.Protocol.Instances;

namespace Runtara.Edge.Tests.Instances;

public abstract class CheckpointContract(EdgeHost edge)
{
    public static TheoryData<string> Doors => WorkflowClient.Doors;

    [Theory, MemberData(nameof(Doors))]
    public async Task The_first_write_wins_and_every_later_one_gets_its_bytes(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        var first = (await workflow.SaveAsync("k", "one")).Checkpoint;
        Assert.False(first.Found);
        Assert.True(first.State.IsEmpty);
        var second = (await workflow.SaveAsync("k", "two")).Checkpoint;
        Assert.Equal((true, "one"), (second.Found, second.State.ToStringUtf8()));
        Assert.Equal("one", (await workflow.LoadAsync("k")).GetCheckpoint.State.ToStringUtf8());
        Assert.Equal("k", (await workflow.StatusAsync()).CheckpointId);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Of_many_savers_of_one_key_exactly_one_is_first(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        for (var round = 0; round < 10; round++)
        {
            var key = $"k{round}";
            var answers = await Task.WhenAll(
                Enumerable.Range(0, 8).Select(
                    async i => (i, (await workflow.SaveAsync(key, $"saver {i}")).Checkpoint)));
            var (winner, _) = Assert.Single(answers, a => !a.Checkpoint.Found);
            Assert.All(
                answers.Where(a => a.Checkpoint.Found),
                a => Assert.Equal($"saver {winner}", a.Checkpoint.State.ToStringUtf8()));
        }
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Keys_and_instances_do_not_share_their_checkpoints(string door)
    {
        await using var one = await WorkflowClient.RegisteredAsync(edge, door);
        await using var two = await WorkflowClient.RegisteredAsync(edge, door);
        string[] keys = ["a", "b", "c", "A", "a/b"];
        foreach (var workflow in (WorkflowClient[])[one, two])
        {
            foreach (var key in keys)
                Assert.False((await workflow.SaveAsync(key, $"{key} of {workflow.Id}")).Checkpoint.Found);
            Assert.Equal(keys[^1], (await workflow.StatusAsync()).CheckpointId);
        }
        foreach (var workflow in (WorkflowClient[])[one, two])
        {
            foreach (var key in keys)
            {
                Assert.Equal(
                    $"{key} of {workflow.Id}", (await workflow.LoadAsync(key)).GetCheckpoint.State.ToStringUtf8());
            }
        }
    }

    [Fact]
    public async Task A_megabyte_of_any_bytes_comes_back_over_a_new_connection()
    {
        await using var server = await edge.NewInstanceServerAsync(edge.Options with { CheckpointBytesMax = 1 << 20 });
        server.Start();
        var id = edge.NewName();
        var state = ByteString.CopyFrom(RandomNumberGenerator.GetBytes(1_000_000));
        await using (var first = new QuicClient<RpcRequest, RpcResponse>(
            server.Listener.LocalEndPoint, RpcResponse.Parser))
        {
            await first.CallAsync(new RpcRequest
            {
                RegisterInstance = new() { InstanceId = id, TenantId = EdgeHost.Tenant },
            });
            var saved = await first.CallAsync(new RpcRequest
            {
                Checkpoint = new() { InstanceId = id, CheckpointId = "k", State = state },
            });
            Assert.Equal((false, true), (saved!.Checkpoint.Found, saved.Checkpoint.State.IsEmpty));
        }
        await using var second = new QuicClient<RpcRequest, RpcResponse>(
            server.Listener.LocalEndPoint, RpcResponse.Parser);
        var again = await second.CallAsync(new RpcRequest
        {
            Checkpoint = new() { InstanceId = id, CheckpointId = "k", State = ByteString.CopyFromUtf8("other") },
        });
        Assert.Equal((true, state), (again!.Checkpoint.Found, again.Checkpoint.State));
        var got = await second.CallAsync(new RpcRequest
        {
            GetCheckpoint = new() { InstanceId = id, CheckpointId = "k" },
        });
        Assert.Equal((true, state), (got!.GetCheckpoint.Found, got.GetCheckpoint.State));
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task A_missing_checkpoint_is_not_found_and_no_error(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        var missing = (await workflow.LoadAsync("k")).GetCheckpoint;
        Assert.Equal((false, true), (missing.Found, missing.State.IsEmpty));
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Checkpoints_can_be_read_after_the_end_and_not_written(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        await workflow.SaveAsync("k", "one");
        await workflow.ReportAsync(InstanceEventType.EventCompleted);
        Assert.True((await workflow.LoadAsync("k")).GetCheckpoint.Found);
        var refused = (await workflow.SaveAsync("k2", "two")).Error;
        Assert.Equal("CHECKPOINT_ERROR", refused.Code);
        Assert.Equal(
            $"Instance '{workflow.Id}' is in invalid state: expected 'running', got 'completed'", refused.Message);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task An_unknown_instance_has_no_checkpoints(string door)
    {
        await using var workflow = await WorkflowClient.ConnectAsync(edge, door, edge.NewName());
        var (saved, loaded) = (await workflow.SaveAsync("k", "x"), await workflow.LoadAsync("k"));
        var text = $"Instance '{workflow.Id}' not found";
        Assert.Equal(("CHECKPOINT_ERROR", text), (saved.Error.Code, saved.Error.Message));
        Assert.Equal(("GET_CHECKPOINT_ERROR", text), (loaded.Error.Code, loaded.Error.Message));
    }

    [Fact]
    public async Task An_id_that_no_instance_can_have_is_not_found()
    {
        await using var workflow = await WorkflowClient.ConnectAsync(edge, "quic", "$waker-1");
        Assert.Equal("Instance '$waker-1' not found", (await workflow.SaveAsync("k", "x")).Error.Message);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task Too_large_a_state_is_refused_with_the_limit(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        var refused = (await workflow.SaveAsync("k", new string('x', 1001))).Error;
        Assert.Equal("CHECKPOINT_ERROR", refused.Code);
        Assert.Equal(
            $"Failed to save checkpoint for instance '{workflow.Id}': state has 1001 bytes, the limit is 1000 "
            + "(edge.checkpoint-bytes-max)",
            refused.Message);
        Assert.False((await workflow.SaveAsync("k", new string('x', 1000))).Checkpoint.Found);
    }

    [Theory, MemberData(nameof(Doors))]
    public async Task A_key_with_a_NUL_is_refused_and_one_that_looks_like_it_in_a_table_is_another(string door)
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, door);
        const string Rule = "Validation error for 'checkpoint_id': checkpoint_id must not have a NUL";
        var saved = (await workflow.SaveAsync("a\0", "one")).Error;
        Assert.Equal(("CHECKPOINT_ERROR", Rule), (saved?.Code, saved?.Message));
        var slept = (await workflow.SleepAsync("a\0", 0)).Error;
        Assert.Equal(("SLEEP_ERROR", Rule), (slept?.Code, slept?.Message));
        Assert.False((await workflow.SaveAsync("a\uFFFD", "two")).Checkpoint.Found);
        Assert.Equal("two", (await workflow.LoadAsync("a\uFFFD")).GetCheckpoint.State.ToStringUtf8());
        Assert.False((await workflow.LoadAsync("a\0")).GetCheckpoint.Found);
    }

    [Fact]
    public async Task A_checkpoint_whose_row_has_gone_is_an_error_and_not_an_empty_state()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        await workflow.SaveAsync("k", "x");
        await using var empty = await Store.OpenAsync(
            new StoreOptions { DatabaseUrl = await edge.NewDatabaseAsync(), DataDirectory = edge.DirectoryPath },
            default);
        var requests = edge.NewInstanceRequests(edge.Gate, edge.Options, empty);
        foreach (var (request, code) in new (RpcRequest, string)[]
        {
            (new() { GetCheckpoint = new() { InstanceId = workflow.Id, CheckpointId = "k" } }, "GET_CHECKPOINT_ERROR"),
            (new() { Checkpoint = new() { InstanceId = workflow.Id, CheckpointId = "k" } }, "CHECKPOINT_ERROR"),
        })
        {
            var answer = await requests.HandleAsync(request, new WorkflowOrigin.Connection(), default);
            Assert.Equal(
                (code, $"Checkpoint 'k' of instance '{workflow.Id}' is there no more: it has been removed"),
                (answer!.Error?.Code, answer.Error?.Message));
        }
    }

    [Fact]
    public async Task The_number_of_checkpoints_has_a_limit()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        for (var i = 0; i < 50; i++)
            Assert.NotNull((await workflow.SaveAsync($"k{i}", "x")).Checkpoint);
        var refused = (await workflow.SaveAsync("one too many", "x")).Error;
        Assert.Equal("CHECKPOINT_ERROR", refused.Code);
        Assert.Contains("instances.checkpoints-max", refused.Message);
        Assert.True((await workflow.SaveAsync("k0", "y")).Checkpoint.Found);
    }
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteCheckpointTests(EdgeHost edge) : CheckpointContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresCheckpointTests(PostgresEdgeHost edge) : CheckpointContract(edge);
