using System.Text.Json.Serialization;
using OrderWorkflow;
using Runtara.Sdk;

return await Workflow.RunAsync<Order, Receipt>(
    async (workflow, order) =>
    {
        var work = new Work(workflow, order);
        var payment = await workflow.Step("charge", ct => work.DoAsync("charge", ct), Json.Default.String);
        await workflow.Step("reserve", ct => work.DoAsync("reserve", ct), Json.Default.String);
        await workflow.Sleep("settle", TimeSpan.FromSeconds(order.WaitSeconds));
        var parcel = await workflow.Step("ship", ct => work.DoAsync("ship", ct), Json.Default.String);
        await workflow.Progress("shipped", parcel, Json.Default.String);
        return new Receipt(order.OrderId, payment, parcel);
    },
    Json.Default.Order,
    Json.Default.Receipt);

namespace OrderWorkflow
{
    /// <summary>Input of the workflow; everything may be left out.</summary>
    /// <param name="OrderId">What is ordered.</param>
    /// <param name="WaitSeconds">Length of the durable sleep before shipping.</param>
    /// <param name="StepMilliseconds">How long each step takes, so that a kill can hit the middle of one.</param>
    internal sealed record Order(string OrderId = "order-1", double WaitSeconds = 12, int StepMilliseconds = 500);

    /// <summary>Output of the workflow.</summary>
    internal sealed record Receipt(string OrderId, string Payment, string Parcel);

    /// <summary>Stands for the services that a real order would call; leaves a trace of every run of a step.</summary>
    internal sealed class Work(WorkflowContext workflow, Order order)
    {
        internal async Task<string> DoAsync(string step, CancellationToken ct)
        {
            var line = $"{step} attempt={workflow.Attempt} {TimeProvider.System.GetUtcNow():O}";
            Console.WriteLine($"{order.OrderId}: {line}");
            await File.AppendAllLinesAsync(Path.Combine(workflow.WorkspaceDir, "steps.log"), [line], ct);
            await Task.Delay(order.StepMilliseconds, ct);
            return $"{step}-{order.OrderId}";
        }
    }

    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
    [JsonSerializable(typeof(Order))]
    [JsonSerializable(typeof(Receipt))]
    [JsonSerializable(typeof(string))]
    internal sealed partial class Json : JsonSerializerContext;
}
