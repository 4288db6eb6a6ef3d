using System.CommandLine;
using Runtara.Bench.Starts;

var server = new Option<string>("--server") { Description = "The daemon's environment port.", Required = true };
var data = new Option<string>("--data-directory") { Description = "The daemon's data directory.", Required = true };
var image = new Option<string>("--image") { Description = "A static executable that ends at once.", Required = true };
var crun = new Option<string>("--crun")
{
    Description = "crun and its global options, separated by blanks.",
    DefaultValueFactory = _ => "crun",
};
var pid = new Option<int>("--daemon-pid") { Description = "The daemon's process.", Required = true };
var label = new Option<string>("--label") { Description = "The first cell of the row.", Required = true };
var starts = new Option<int>("--starts")
{
    Description = "How many starts, and how many bare runs.",
    DefaultValueFactory = _ => 200,
};
var before = new Option<int>("--before")
{
    Description = "How many of both before that, in steps of 40.",
    DefaultValueFactory = _ => 40,
};
var parallel = new Option<int>("--parallel") { Description = "How many at a time.", DefaultValueFactory = _ => 8 };

var command = new RootCommand("Measures starts through the daemon beside bare runs of the same bundle.")
{
    server, data, image, crun, pid, label, before, starts, parallel,
};
command.SetAction(async (parsed, cancellation) =>
{
    var comparison = new Comparison(
        parsed.GetValue(server)!, parsed.GetValue(data)!, parsed.GetValue(image)!, parsed.GetValue(crun)!.Split(' '),
        parsed.GetValue(pid));
    Console.WriteLine(await comparison.RowAsync(
        parsed.GetValue(label)!, parsed.GetValue(before), parsed.GetValue(starts),
        parsed.GetValue(parallel), cancellation));
});
return await command.Parse(args).InvokeAsync();
