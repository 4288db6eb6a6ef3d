using System.Diagnostics;
using System.Globalization;
using System.IO.Pipelines;
using System.Net.Sockets;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.EndToEnd.Tests.Hostile;
using Runtara.Protocol;
using Runtara.Protocol.Environments;
using Ins = Runtara.Protocol.Instances;

namespace Runtara.EndToEnd.Tests;

/// <summary>A daemon that may open no further file for a while.</summary>
[Collection(OutageCollection.Name)]
public sealed class DescriptorTests(WorkflowImage workflow, Databases databases, ITestOutputHelper output)
    : StoryUnderFaults(output)
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public Task A_socket_that_could_take_no_connection_answers_once_a_descriptor_is_free() =>
        databases.EachAsync(RunOutOfDescriptorsAsync);

    private async Task RunOutOfDescriptorsAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        await daemon.Client.StartAsync(Tenant, image, "idler", """{"mode":"idle","seconds":600}""");
        // The status is running before the container is.
        await Eventually.IsAsync(
            () => Task.FromResult(daemon.LogOf(Tenant, "idler")), log => log is not null, Minute, "it runs");
        var path = Path.Combine(daemon.RunDirectory(Tenant, "idler"), "runtara.sock");

        await LimitDescriptorsAsync(daemon, "3");
        using var waiting = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await waiting.ConnectAsync(new UnixDomainSocketEndPoint(path));
        await Eventually.IsAsync(
            () => Task.FromResult(daemon.Log),
            log => log.Contains("the socket of instance idler cannot take a connection", StringComparison.Ordinal),
            Minute, "the daemon says that it has no descriptor");
        await LimitDescriptorsAsync(daemon, "1024");

        await Eventually.IsAsync(
            () => PollAsync(path), answer => answer?.PollSignals is not null, Minute, "the socket answers again");
        Assert.True(daemon.IsRunning);
    }

    private static async Task<Ins.RpcResponse?> PollAsync(string path)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), patience.Token);
            await socket.SendAsync(
                ValidFrames.Frame(new Ins.RpcRequest { PollSignals = new() { InstanceId = "idler" } }), patience.Token);
            await using var stream = new NetworkStream(socket);
            var read = await FrameReader.ReadAsync(
                PipeReader.Create(stream), Ins.RpcResponse.Parser, FrameLimits.Default, TimeProvider.System,
                patience.Token);
            return read.Message;
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException)
        {
            return null;
        }
    }

    // The soft limit: what is open stays open.
    private static async Task LimitDescriptorsAsync(DaemonProcess daemon, string limit)
    {
        using var prlimit = Process.Start(
            "prlimit", ["--pid", daemon.ProcessId.ToString(CultureInfo.InvariantCulture), $"--nofile={limit}:"]);
        await prlimit.WaitForExitAsync();
        Assert.Equal(0, prlimit.ExitCode);
    }
}
