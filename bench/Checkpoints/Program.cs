using System.CommandLine;
using System.Net;
using Runtara.Bench.Checkpoints;

var door = new Option<DoorKind>("--door") { Description = "quic or socket" };
var instances = new Option<int>("--instances")
{
    Description = "instances, each with one connection and one request under way",
    DefaultValueFactory = _ => 16,
};
var bytes = new Option<int>("--bytes") { Description = "size of a checkpoint's state", DefaultValueFactory = _ => 200 };
var seconds = new Option<double>("--seconds") { Description = "measured time", DefaultValueFactory = _ => 10 };
var warmUp = new Option<double>("--warmup") { Description = "seconds before it", DefaultValueFactory = _ => 3 };
var server = new Option<string>("--server")
{
    Description = "the daemon's QUIC port for workflows", DefaultValueFactory = _ => "127.0.0.1:8001",
};
var sockets = new Option<string>("--sockets") { Description = "directory of *.sock", DefaultValueFactory = _ => "." };
var daemonPid = new Option<int>("--daemon-pid") { Description = "process whose CPU time is the daemon's" };
var databasePid = new Option<int>("--database-pid") { Description = "postmaster; its children count too" };
var row = new Option<bool>("--row") { Description = "print a row of a Markdown table" };
var serve = new Option<bool>("--serve")
{
    Description = "serve --instances sockets in --sockets on --database-url, until a signal",
};
var databaseUrl = new Option<string>("--database-url")
{
    Description = "with --serve: where checkpoints go",
    DefaultValueFactory = _ => "",
};
var root = new RootCommand("Saves checkpoints as fast as they are acknowledged, and says how fast that was.")
{
    door, instances, bytes, seconds, warmUp, server, sockets, daemonPid, databasePid, row, serve, databaseUrl,
};
root.SetAction((parsed, cancellation) =>
{
    var directory = Path.GetFullPath(parsed.GetValue(sockets)!);
    var load = new LoadOptions
    {
        Door = parsed.GetValue(door),
        Instances = parsed.GetValue(instances),
        Bytes = parsed.GetValue(bytes),
        Measured = TimeSpan.FromSeconds(parsed.GetValue(seconds)),
        WarmUp = TimeSpan.FromSeconds(parsed.GetValue(warmUp)),
        Server = IPEndPoint.Parse(parsed.GetValue(server)!),
        Sockets = directory,
        DaemonPid = parsed.GetValue(daemonPid),
        DatabasePid = parsed.GetValue(databasePid),
    };
    return parsed.GetValue(serve)
        ? Work.ServeAsync(load, parsed.GetValue(databaseUrl)!, cancellation)
        : Work.MeasureAsync(load, parsed.GetValue(row));
});
return await root.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });

internal static class Work
{
    public static Task ServeAsync(LoadOptions load, string databaseUrl, CancellationToken cancellation)
    {
        var url = databaseUrl.Length > 0 ? databaseUrl : "sqlite:" + Path.Combine(load.Sockets, "bench.db");
        return new SocketHost(load.Sockets, url, load.Instances).RunAsync(cancellation);
    }

    public static async Task MeasureAsync(LoadOptions load, bool asRow)
    {
        var result = await new Load(load).RunAsync();
        await Console.Out.WriteLineAsync(asRow ? result.ToRow() : result.ToText());
    }
}
