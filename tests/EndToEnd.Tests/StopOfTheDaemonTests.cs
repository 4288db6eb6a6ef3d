using System.Diagnostics;
using CliWrap.Buffered;
using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol.Environments;
using Runtara.Runner.Tests;

namespace Runtara.EndToEnd.Tests;

/// <summary>A daemon that ends its containers with itself gives them the time that it was told to.</summary>
[Collection(PatientCollection.Name)]
public sealed class StopOfTheDaemonTests(Databases databases, ITestOutputHelper output) : StoryUnderFaults(output)
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(12);

    [Fact]
    public Task A_grace_longer_than_ten_seconds_is_kept_and_no_container_is_left() =>
        databases.EachAsync(StopAsync);

    private async Task StopAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl);
        var program = Path.Combine(daemon.DataDirectory, "probe");
        await File.WriteAllBytesAsync(program, StaticProgram.Compile("probe"));
        await daemon.StartAsync($"runner.stop-grace={Grace.TotalSeconds}s");
        var image = await daemon.Client.RegisterAsync(Tenant, "probe", program);
        var start = new StartInstanceRequest { TenantId = Tenant, ImageId = image, InstanceId = "stubborn" };
        start.Env["MODE"] = "stubborn";
        var started = await daemon.Client.PersistAsync(new RpcRequest { StartInstance = start });
        Assert.True(started.StartInstance.Success, started.StartInstance.Error);
        var up = Path.Combine(daemon.RunDirectory(Tenant, "stubborn"), "workspace", "up");
        await Eventually.IsAsync(
            () => Task.FromResult(File.Exists(up)), there => there, TimeSpan.FromMinutes(1), "the program is up");

        var told = Stopwatch.GetTimestamp();
        Assert.Equal(0, await daemon.TerminateAsync());

        Assert.InRange(Stopwatch.GetElapsedTime(told), Grace, TimeSpan.FromMinutes(1));
        Assert.Equal("", await ContainersAsync(daemon));
        Assert.DoesNotContain("did not end in time", daemon.Log, StringComparison.Ordinal);
    }

    private static async Task<string> ContainersAsync(DaemonProcess daemon) => (await CliWrap.Cli.Wrap("crun")
        .WithArguments(["--root", Path.Combine(daemon.DataDirectory, "crun"), "list", "-q"])
        .ExecuteBufferedAsync()).StandardOutput;
}
