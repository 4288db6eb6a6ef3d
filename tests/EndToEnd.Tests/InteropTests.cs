using System.Globalization;
using System.Net;
using CliWrap;
using CliWrap.Buffered;
using Google.Protobuf;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol;
using Runtara.Protocol.Environments;
using Runtara.Quic;
using Runtara.Quic.Tests.Interop;
using Ins = Runtara.Protocol.Instances;

namespace Runtara.EndToEnd.Tests;

/// <summary>Whoever speaks the protocol is served, and a daemon that is asked to end does so in good order.</summary>
[Collection(PatientCollection.Name)]
public sealed class InteropTests(WorkflowImage workflow, Databases databases, ITestOutputHelper output)
    : StoryUnderFaults(output)
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1), GoneWithin = TimeSpan.FromSeconds(30);

    [Fact]
    public Task Clients_with_the_protocol_s_ALPN_or_with_none_are_served_and_others_are_refused() =>
        databases.EachAsync(ServeByAlpnAsync);

    private async Task ServeByAlpnAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        foreach (var alpn in (string[][])[[], ["runtara"], ["other", "runtara"]])
        {
            var health = await AskAsync(
                daemon.Environment, alpn, new RpcRequest { HealthCheck = new() }, RpcResponse.Parser);
            Assert.True(health.HealthCheck.Healthy, health.ToString());
            var signals = await AskAsync(
                daemon.Instance, alpn, new Ins.RpcRequest { PollSignals = new() { InstanceId = "nobody" } },
                Ins.RpcResponse.Parser);
            Assert.NotEqual(Ins.RpcResponse.ResponseOneofCase.None, signals.ResponseCase);
        }
        foreach (var port in (IPEndPoint[])[daemon.Environment, daemon.Instance])
        {
            var refused = await Assert.ThrowsAsync<QuicException>(() => ConnectAsync(port, ["other"]));
            // no_application_protocol, RFC 7301 §3.2.
            Assert.Equal(0x100 + 120, refused.ErrorCode);
        }
    }

    [Fact]
    public Task An_independent_client_makes_a_thousand_calls_64_at_once() =>
        databases.EachAsync(CallIndependentlyAsync);

    private async Task CallIndependentlyAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        var said = await Deno.RunAsync(
            Path.Combine(AppContext.BaseDirectory, "Interop", "health.mjs"),
            daemon.Environment.Port.ToString(CultureInfo.InvariantCulture),
            Path.Combine(daemon.DataDirectory, QuicCertificate.CertificateFile));
        Assert.Equal("1000 answers", said);
    }

    [Fact]
    public Task SIGTERM_leaves_no_container_and_running_workflows_go_on_after_the_restart() =>
        databases.EachAsync(TerminateAsync);

    private async Task TerminateAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        var ids = Enumerable.Range(0, 5).Select(i => $"order-{i}").ToList();
        foreach (var id in ids)
            Assert.True((await daemon.Client.StartAsync(Tenant, image, id, """{"steps":60}""")).Success);
        foreach (var id in ids)
        {
            var log = Path.Combine(daemon.RunDirectory(Tenant, id), "workspace", "log");
            await Eventually.IsAsync(() => Task.FromResult(File.Exists(log)), there => there, Minute, $"{id} runs");
        }
        Assert.Equal(5, (await ContainersAsync(daemon)).Length);
        Assert.Equal(0, await daemon.TerminateAsync().WaitAsync(GoneWithin));
        Assert.Empty(await ContainersAsync(daemon));
        await daemon.StartAsync();
        foreach (var id in ids)
        {
            var ended = await daemon.Client.EndAsync(id, Minute);
            Assert.Equal((InstanceStatus.StatusCompleted, 1u), (ended.Status, ended.RetryCount));
            Assert.StartsWith("""{"sum":1770,""", ended.Output.ToStringUtf8(), StringComparison.Ordinal);
        }
    }

    private static async Task<string[]> ContainersAsync(DaemonProcess daemon)
    {
        var listed = await CliWrap.Cli.Wrap("crun")
            .WithArguments(["--root", Path.Combine(daemon.DataDirectory, "crun"), "list", "-q"])
            .ExecuteBufferedAsync();
        return listed.StandardOutput.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static async Task<QuicConnection> ConnectAsync(IPEndPoint port, string[] alpn) =>
        await QuicConnection.ConnectAsync(
            new QuicClientOptions { Remote = port, Alpn = alpn, Trust = QuicTrust.AcceptAny });

    private static async Task<T> AskAsync<T>(IPEndPoint port, string[] alpn, IMessage request, MessageParser<T> parser)
        where T : class, IMessage<T>
    {
        using var deadline = new CancellationTokenSource(Minute);
        await using var connection = await ConnectAsync(port, alpn);
        Assert.Equal(alpn.Length == 0 ? null : "runtara", connection.Alpn);
        await using var stream = await connection.OpenStreamAsync(deadline.Token);
        FrameWriter.Write(stream.Output, FrameType.Request, request);
        await stream.Output.CompleteAsync();
        var read = await FrameReader.ReadAsync(
            stream.Input, parser, FrameLimits.Default, TimeProvider.System, deadline.Token);
        Assert.True(read.IsComplete, $"{read.Outcome} {read.Detail}");
        return read.Message;
    }
}
