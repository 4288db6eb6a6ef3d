using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using Runtara.Actors.Wakes;
using Runtara.Daemon.Retention;
using Runtara.Persistence;

namespace Runtara.Daemon;

/// <summary>
/// HTTP for orchestrators: <c>/livez</c> (the process serves), <c>/readyz</c> (doors open, database answers, containers
/// are started) and <c>/stats</c> (counts, as JSON).
/// </summary>
internal static class Health
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public static void MapHealth(this WebApplication app)
    {
        app.MapGet("/livez", (HttpContext http) => http.Response.WriteAsync("ok\n"));
        app.MapGet("/readyz", async (HttpContext http) =>
        {
            var doors = http.RequestServices.GetRequiredService<Doors>();
            var catalog = http.RequestServices.GetRequiredService<Catalog>();
            var asked = ProblemOfRunnerAsync(http);
            var database = await catalog.PingAsync(http.RequestAborted);
            var runner = await asked;
            var ready = doors.AreOpen && database && runner is null;
            http.Response.StatusCode = ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
            await http.Response.WriteAsync(
                ready
                    ? "ok\n"
                    : $"doors {(doors.AreOpen ? "open" : "closed")}, database {(database ? "ok" : "down")}, "
                        + $"containers {(runner is null ? "ok" : "held")}\n{Lines(catalog.Trouble, runner)}");
        });
        app.MapGet("/stats", async (HttpContext http) =>
        {
            var actors = http.RequestServices.GetRequiredService<ActorRegistry>();
            var region = await actors.Get<InstanceRegion>().Ask<CurrentShardRegionState>(
                GetShardRegionState.Instance, Patience, http.RequestAborted);
            var runner = await AskRunnerAsync(http);
            var retention = http.RequestServices.GetRequiredService<RetentionService>();
            var inMemory = region.Shards.Sum(s => s.EntityIds.Count(id => WakerActor.ShardOf(id) is null));
            http.Response.ContentType = "application/json";
            await http.Response.WriteAsync(
                $"{{\"instances_in_memory\":{inMemory},\"containers\":{runner.Containers},"
                + $"\"waiting_for_slot\":{runner.Waiting},\"container_capacity\":{runner.Capacity},"
                + $"\"instances_removed\":{retention.InstancesRemoved},"
                + $"\"run_directories_removed\":{retention.RunDirectoriesRemoved}}}\n");
        });
    }

    private static Task<RunnerStatus> AskRunnerAsync(HttpContext http) =>
        http.RequestServices.GetRequiredService<ActorRegistry>().Get<RunnerOfNode>()
            .Ask<RunnerStatus>(GetRunnerStatus.Instance, Patience, http.RequestAborted);

    private static async Task<string?> ProblemOfRunnerAsync(HttpContext http)
    {
        try
        {
            return (await AskRunnerAsync(http)).Problem;
        }
        catch (AskTimeoutException)
        {
            return "the runner of this node does not answer";
        }
    }

    private static string Lines(params string?[] problems) =>
        string.Concat(problems.Where(p => p is not null).Select(p => p + "\n"));

    private static T GetRequiredService<T>(this IServiceProvider services)
        where T : notnull =>
        Microsoft.Extensions.DependencyInjection.ServiceProviderServiceExtensions.GetRequiredService<T>(services);
}
