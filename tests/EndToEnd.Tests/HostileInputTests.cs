using System.Diagnostics;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Google.Protobuf;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.EndToEnd.Tests.Hostile;
using Runtara.Protocol;
using Runtara.Protocol.Environments;
using Runtara.Quic;
using Ins = Runtara.Protocol.Instances;

namespace Runtara.EndToEnd.Tests;

/// <summary>
/// Ten thousand malformed inputs to each edge: the daemon stays up, answers a health request within a second all the
/// time, and its memory comes back to within 10 % of what it was.
/// </summary>
[Collection(MeasuringCollection.Name)]
public sealed class HostileInputTests(WorkflowImage workflow, ITestOutputHelper output)
{
    // The warm-up takes every path some hundred times, so that its code is loaded and compiled.
    private const int Inputs = 10_000, WarmUpInputs = 2_000;
    private const string Tenant = "acme", Idler = "idler";
    private const double GrowthMax = 1.10;
    private static readonly TimeSpan HealthWithin = TimeSpan.FromSeconds(1), Minute = TimeSpan.FromMinutes(1);

    private readonly int _seed = Environment.TickCount;

    // The attackers seldom wait: without threads to spare the health watch would measure its own process.
    static HostileInputTests() => ThreadPool.SetMinThreads(32, 32);

    [Fact]
    public async Task The_environment_port_survives_ten_thousand_malformed_inputs()
    {
        await using var daemon = new DaemonProcess(output);
        await daemon.StartAsync();
        await SurviveAsync(daemon, daemon.Environment, ValidFrames.Environment, ValidFrames.Environment[0]);
    }

    [Fact]
    public async Task The_instance_port_survives_ten_thousand_malformed_inputs()
    {
        await using var daemon = new DaemonProcess(output);
        await daemon.StartAsync();
        var frames = ValidFrames.Instance("nobody");
        await SurviveAsync(daemon, daemon.Instance, frames, frames[^3]);
    }

    [Fact]
    public async Task The_socket_of_an_attempt_survives_ten_thousand_malformed_inputs()
    {
        await using var daemon = new DaemonProcess(output);
        await daemon.StartAsync();
        await StartIdlerAsync(daemon);
        using var door = new ShortPath(daemon.RunDirectory(Tenant, Idler));
        var path = Path.Combine(door.Path, "runtara.sock");
        await Eventually.IsAsync(() => Task.FromResult(File.Exists(path)), e => e, Minute, "the socket is there");
        var storm = new Storm(
            _seed, () => new SocketAttacker(path), [.. ValidFrames.Instance(Idler), .. ValidFrames.Instance("nobody")]);
        await SurviveAsync(daemon, storm);
        Assert.True(
            (await PollAsync(path)).ResponseCase == Ins.RpcResponse.ResponseOneofCase.PollSignals,
            $"seed {_seed}: the socket no longer answers");
        var status = await daemon.Client.StatusAsync(Idler);
        Assert.True(status.Status == InstanceStatus.StatusRunning, $"seed {_seed}: the instance is {status}");
    }

    [Fact]
    public async Task Frames_that_never_end_on_each_connection_of_a_socket_take_the_room_of_two()
    {
        await using var daemon = new DaemonProcess(output);
        await daemon.StartAsync();
        await StartIdlerAsync(daemon);
        using var door = new ShortPath(daemon.RunDirectory(Tenant, Idler));
        var path = new UnixDomainSocketEndPoint(Path.Combine(door.Path, "runtara.sock"));
        await WithstandAsync(daemon, async (frame, leave) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            using var closing = leave.Register(socket.Dispose);
            await socket.ConnectAsync(path, leave);
            foreach (var piece in frame)
                await socket.SendAsync(piece, leave);
            return socket;
        });
    }

    [Fact]
    public async Task Frames_that_never_end_on_each_stream_of_a_connection_take_the_room_of_two()
    {
        await using var daemon = new DaemonProcess(output);
        await daemon.StartAsync();
        await using var connection = await QuicConnection.ConnectAsync(
            new QuicClientOptions { Remote = daemon.Instance, Trust = QuicTrust.AcceptAny });
        await WithstandAsync(daemon, async (frame, leave) =>
        {
            var stream = await connection.OpenStreamAsync(leave);
            foreach (var piece in frame)
                await stream.Output.WriteAsync(piece, leave);
            return stream;
        });
    }

    /// <summary>Sends frames that lack their last byte, and looks at the daemon while it has them.</summary>
    private async Task WithstandAsync(
        DaemonProcess daemon, Func<IEnumerable<byte[]>, CancellationToken, Task<object>> send)
    {
        const int frames = 64, pieceBytes = 64 << 10, pieces = FrameLimits.ProtocolPayloadBytesMax / pieceBytes;
        byte[] header = [4, 0, 0, 0, 0, 1];
        var unfinished = Enumerable.Repeat(new byte[pieceBytes], pieces - 1)
            .Prepend(header).Append(new byte[pieceBytes - 1]);
        var before = await ResidentMemory.LowestAsync(daemon);
        using var leave = new CancellationTokenSource();
        var sending = Enumerable.Range(0, frames).Select(_ => Task.Run(() => send(unfinished, leave.Token))).ToArray();
        await Eventually.IsAsync(
            () => Task.FromResult(sending.Count(s => s.IsCompletedSuccessfully)), sent => sent >= 2, Minute,
            "two frames are there but for a byte");
        var peak = daemon.MemoryBytes;
        for (var i = 0; i < 50; i++)
        {
            await Eventually.PauseAsync();
            peak = Math.Max(peak, daemon.MemoryBytes);
        }
        var answer = await daemon.Client.CallAsync(new RpcRequest
        {
            StartInstance = new()
            {
                TenantId = Tenant, ImageId = "none", Input = ByteString.CopyFrom(new byte[300_000]),
            },
        });
        var figures = $"{sending.Count(s => s.IsCompletedSuccessfully)} of {frames} sent; memory "
            + $"{Megabytes(before)} before, {Megabytes(peak)} at most";
        output.WriteLine(figures);
        await leave.CancelAsync();
        await Task.WhenAll(sending).ContinueWith(static _ => { }, TaskScheduler.Default);
        Assert.Contains("not found", answer.StartInstance.Error);
        Assert.True(peak - before < 5L * FrameLimits.ProtocolPayloadBytesMax, figures);
    }

    private async Task SurviveAsync(
        DaemonProcess daemon, IPEndPoint port, IReadOnlyList<byte[]> validFrames, byte[] answeredFrame)
    {
        await using var datagrams = await DatagramAttacker.CaptureAsync(port, answeredFrame);
        await SurviveAsync(daemon, new Storm(_seed, () => new QuicAttacker(port), validFrames, datagrams));
        var answer = await datagrams.CallAsync(answeredFrame);
        Assert.True(answer > 0, $"seed {_seed}: the client whose packets were copied is not answered");
    }

    private async Task SurviveAsync(DaemonProcess daemon, Storm storm)
    {
        var log = daemon.Log.Length;
        try
        {
            await using var health = new HealthWatch(daemon.Environment);
            await storm.RunAsync(WarmUpInputs);
            var before = await ResidentMemory.LowestAsync(daemon);
            var clock = Stopwatch.StartNew();
            await storm.RunAsync(Inputs);
            var took = clock.Elapsed;
            var peak = daemon.MemoryBytes;
            var after = await LowestAsync(daemon, before, clock);
            await health.StopAsync();
            var figures =
                $"seed {_seed}: {Inputs} inputs in {took.TotalSeconds:0.0} s; {health.Answers} health answers, the "
                + $"worst after {health.Worst.TotalMilliseconds:0} ms; memory {Megabytes(before)} before, "
                + $"{Megabytes(peak)} at the end of the storm, {Megabytes(after)} "
                + $"{(clock.Elapsed - took).TotalSeconds:0.0} s later ({100.0 * after / before - 100:+0.0;-0.0} %)";
            output.WriteLine(figures);
            Assert.True(daemon.IsRunning, $"the daemon ended; {figures}");
            Assert.True(health.Worst <= HealthWithin, $"a health answer took too long; {figures}");
            Assert.True(after <= before * GrowthMax, $"the memory does not come back; {figures}");
        }
        catch (Exception e)
        {
            throw new InvalidOperationException(
                $"seed {_seed}: {e.Message}; what the daemon said:\n{daemon.Log[log..]}", e);
        }
    }

    /// <summary>The memory once it is back, or after a minute in which it does not come back.</summary>
    private static async Task<long> LowestAsync(DaemonProcess daemon, long before, Stopwatch clock)
    {
        var until = clock.Elapsed + Minute;
        long lowest;
        do
            lowest = await ResidentMemory.LowestAsync(daemon);
        while (lowest > before * GrowthMax && clock.Elapsed < until);
        return lowest;
    }

    private async Task StartIdlerAsync(DaemonProcess daemon)
    {
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        var started = await daemon.Client.CallAsync(new RpcRequest
        {
            StartInstance = new()
            {
                TenantId = Tenant,
                ImageId = image,
                InstanceId = Idler,
                TimeoutSeconds = 3600,
                Input = ByteString.CopyFromUtf8("""{"mode":"idle","seconds":600,"steps":0}"""),
            },
        });
        Assert.True(started.StartInstance.Success, started.StartInstance.Error);
        // The status is running before the container is.
        await Eventually.IsAsync(
            () => Task.FromResult(daemon.LogOf(Tenant, Idler)), log => log is not null, Minute, "it runs");
    }

    private static async Task<Ins.RpcResponse> PollAsync(string path)
    {
        using var patience = new CancellationTokenSource(Minute);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), patience.Token);
        var request = new Ins.RpcRequest { PollSignals = new() { InstanceId = Idler } };
        await socket.SendAsync(ValidFrames.Frame(request), patience.Token);
        await using var stream = new NetworkStream(socket);
        var read = await FrameReader.ReadAsync(
            PipeReader.Create(stream), Ins.RpcResponse.Parser, FrameLimits.Default, TimeProvider.System,
            patience.Token);
        return read.Message ?? throw new IOException($"{read.Outcome} {read.Detail}");
    }

    private static string Megabytes(long bytes) => $"{bytes / 1048576.0:0.0} MiB";

    /// <summary>A link to a directory from a place whose path fits into a socket address.</summary>
    private sealed class ShortPath : IDisposable
    {
        private readonly string _directory = Directory.CreateTempSubdirectory("e2e-").FullName;

        public ShortPath(string target) => Directory.CreateSymbolicLink(Path, target);

        public string Path => System.IO.Path.Combine(_directory, "run");

        public void Dispose() => Directory.Delete(_directory, recursive: true);
    }
}
