using Google.Protobuf;
using Microsoft.Extensions.Logging.Abstractions;
using Runtara.Edge.Instances;
using Runtara.Edge.Tests.Harness;
using Runtara.Persistence;
using Clients = Runtara.Protocol.Environments;
using Workflows = Runtara.Protocol.Instances;

namespace Runtara.Edge.Tests;

/// <summary>Replies that no frame holds, and pages that end where the frame does.</summary>
public abstract class ReplyContract(EdgeHost edge)
{
    private const int FrameBytes = 3000;

    private EdgeOptions Narrow => edge.Options with
    {
        Frames = edge.Options.Frames with { PayloadBytesMax = FrameBytes }, PageBytesMax = 1_000_000,
    };

    private async Task<Clients.RpcResponse> CallAsync(Clients.RpcRequest request)
    {
        await using var server = await edge.NewEnvironmentServerAsync(Narrow);
        server.Start();
        await using var client = new QuicClient<Clients.RpcRequest, Clients.RpcResponse>(
            server.Listener.LocalEndPoint, Clients.RpcResponse.Parser);
        return (await client.CallAsync(request))!;
    }

    [Fact]
    public async Task A_reply_that_no_frame_holds_is_an_error_that_names_the_limit()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        await workflow.SaveAsync("k", new string('x', 1000));
        var requests = edge.NewInstanceRequests(edge.Gate, edge.Options);
        var options = Narrow with { Frames = Narrow.Frames with { PayloadBytesMax = 900 } };
        const string Text = "The reply has 1008 bytes, the limit is 900 (edge.frame-bytes-max)";
        var request = new Workflows.RpcRequest
        {
            GetCheckpoint = new() { InstanceId = workflow.Id, CheckpointId = "k" },
        };

        await using var server = await edge.NewInstanceServerAsync(requests, options);
        server.Start();
        await using var client = new QuicClient<Workflows.RpcRequest, Workflows.RpcResponse>(
            server.Listener.LocalEndPoint, Workflows.RpcResponse.Parser);
        var overQuic = await client.CallAsync(request);
        Assert.Equal(("GET_CHECKPOINT_ERROR", Text), (overQuic!.Error?.Code, overQuic.Error?.Message));

        var door = new UnixDoor(
            requests, options, edge.Frames, TimeProvider.System, NullLogger<UnixDoor>.Instance);
        var path = Path.Combine(edge.DirectoryPath, $"{edge.NewName("s")}.sock");
        await using var open = await door.OpenAsync(new(workflow.Id), new(EdgeHost.Tenant), new(0), path, default);
        var overSocket = await WorkflowClient.CallSocketAsync(path, request);
        Assert.Equal(overQuic, overSocket);
    }

    [Fact]
    public async Task A_reply_to_a_client_that_no_frame_holds_is_an_error_that_names_the_limit()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        await workflow.ReportAsync(
            Workflows.InstanceEventType.EventCustom, new string('x', 2000), new string('s', 1000));
        var answer = await CallAsync(new() { ListEvents = new() { InstanceId = workflow.Id, EventType = "custom" } });
        Assert.Equal("LIST_EVENTS_ERROR", answer.Error?.Code);
        Assert.EndsWith(
            $"bytes, the limit is {FrameBytes} (edge.frame-bytes-max)", answer.Error!.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_output_that_no_frame_holds_is_left_out_of_the_status_that_a_workflow_asks_for()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        await workflow.ReportAsync(Workflows.InstanceEventType.EventCompleted, new string('x', 2500));
        await using var server = await edge.NewInstanceServerAsync(Narrow);
        server.Start();
        await using var client = new QuicClient<Workflows.RpcRequest, Workflows.RpcResponse>(
            server.Listener.LocalEndPoint, Workflows.RpcResponse.Parser);
        var answer = await client.CallAsync(new() { GetInstanceStatus = new() { InstanceId = workflow.Id } });
        var status = answer!.GetInstanceStatus;
        Assert.Equal((Workflows.InstanceStatus.StatusCompleted, false), (status.Status, status.HasOutput));
        Assert.Equal("The output has 2500 bytes, more than a frame may have (edge.frame-bytes-max)", status.Error);
    }

    [Fact]
    public async Task A_page_of_events_with_long_names_ends_early_and_its_limit_says_where()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        for (var i = 0; i < 5; i++)
        {
            var sent = workflow.Event(
                Workflows.InstanceEventType.EventCustom, $"{i}", new string('s', 500));
            sent.CheckpointId = new string('c', 400);
            await workflow.CallAsync(new() { InstanceEvent = sent });
        }
        var seen = "";
        for (var offset = 0u; offset < 5;)
        {
            var page = (await CallAsync(new()
            {
                ListEvents = new() { InstanceId = workflow.Id, EventType = "custom", Offset = offset },
            })).ListEvents;
            Assert.Equal((5u, offset), (page.TotalCount, page.Offset));
            Assert.Equal(page.Limit == 100 ? 5 - offset : page.Limit, (uint)page.Events.Count);
            Assert.InRange(page.Events.Count, 1, 2);
            seen += string.Concat(page.Events.Select(e => e.Payload.ToStringUtf8()));
            offset += (uint)page.Events.Count;
        }
        Assert.Equal("43210", seen);
    }

    [Fact]
    public async Task A_page_of_checkpoints_with_long_keys_ends_early_and_its_limit_says_where()
    {
        await using var workflow = await WorkflowClient.RegisteredAsync(edge, "quic");
        for (var i = 0; i < 4; i++)
            await workflow.SaveAsync(new string((char)('a' + i), 800), "x");
        var first = (await CallAsync(new() { ListCheckpoints = new() { InstanceId = workflow.Id } })).ListCheckpoints;
        Assert.Equal((4u, 2u, 2), (first.TotalCount, first.Limit, first.Checkpoints.Count));
        Assert.Equal("dc", string.Concat(first.Checkpoints.Select(c => c.CheckpointId[0])));
    }

    [Fact]
    public async Task A_page_of_images_with_long_descriptions_ends_early_and_its_count_is_true()
    {
        var tenant = edge.NewName("described");
        for (var i = 0; i < 4; i++)
        {
            var registered = await edge.Environment.CallAsync(new()
            {
                RegisterImage = new()
                {
                    TenantId = tenant, Name = $"n{i}", Description = new string('d', 800),
                    Binary = ByteString.CopyFrom(Executables.Static()),
                },
            });
            Assert.True(registered!.RegisterImage.Success, registered.ToString());
        }
        var seen = new List<string>();
        while (seen.Count < 4)
        {
            var page = (await CallAsync(new()
            {
                ListImages = new() { TenantId = tenant, Offset = (uint)seen.Count },
            })).ListImages;
            Assert.Equal(4u, page.TotalCount);
            Assert.InRange(page.Images.Count, 1, 2);
            seen.AddRange(page.Images.Select(i => i.Name));
        }
        Assert.Equal(["n3", "n2", "n1", "n0"], seen);
    }

    [Fact]
    public async Task Images_of_one_moment_are_listed_by_their_ids()
    {
        await using var store = await Store.OpenAsync(
            new StoreOptions
            {
                DatabaseUrl = await edge.NewDatabaseAsync(),
                DataDirectory = Path.Combine(edge.DirectoryPath, edge.NewName("moment")),
                Time = new StoppedClock(),
            },
            default);
        var requests = edge.NewEnvironmentRequests(edge.Gate, edge.Options, store);
        for (var i = 0; i < 6; i++)
        {
            var registered = await requests.HandleAsync(
                new()
                {
                    RegisterImage = new()
                    {
                        TenantId = "t", Name = $"n{i}", Binary = ByteString.CopyFrom(Executables.Static()),
                    },
                },
                default);
            Assert.True(registered.RegisterImage.Success, registered.ToString());
        }
        var listed = new List<Clients.ImageSummary>();
        foreach (var offset in (uint[])[0, 2, 4])
        {
            var page = await requests.HandleAsync(new() { ListImages = new() { Limit = 2, Offset = offset } }, default);
            listed.AddRange(page.ListImages.Images);
        }
        Assert.Single(listed.Select(i => i.CreatedAtMs).Distinct());
        Assert.Equal(6, listed.Select(i => i.ImageId).Distinct().Count());
        Assert.Equal(listed.Select(i => i.ImageId).Order(StringComparer.Ordinal), listed.Select(i => i.ImageId));
    }

    private sealed class StoppedClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddYears(50);
    }

    [Fact]
    public async Task Lists_of_instances_and_images_are_cut_to_the_largest_page()
    {
        var tenant = edge.NewName("paged");
        for (var i = 0; i < 3; i++)
        {
            await edge.RegisterImageAsync(tenant, $"n{i}");
            await using var workflow = await WorkflowClient.ConnectAsync(edge, "quic", edge.NewName());
            Assert.Equal("", (await workflow.RegisterAsync(tenant)).Error);
        }
        var requests = edge.NewEnvironmentRequests(edge.Gate, edge.Options with { PageMax = 2 });
        foreach (var limit in (uint[])[0, 5])
        {
            var instances = await requests.HandleAsync(
                new() { ListInstances = new() { TenantId = tenant, Limit = limit } }, default);
            Assert.Equal(
                (2, 3u), (instances.ListInstances.Instances.Count, instances.ListInstances.TotalCount));
            var images = await requests.HandleAsync(
                new() { ListImages = new() { TenantId = tenant, Limit = limit } }, default);
            Assert.Equal((2, 3u), (images.ListImages.Images.Count, images.ListImages.TotalCount));
        }
    }
}

[Collection(EdgeCollection.Name)]
public sealed class SqliteReplyTests(EdgeHost edge) : ReplyContract(edge);

[Collection(PostgresEdgeCollection.Name)]
public sealed class PostgresReplyTests(PostgresEdgeHost edge) : ReplyContract(edge);
