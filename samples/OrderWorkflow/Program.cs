using System.Text.Json.Serialization;
using OrderWorkflow;
using Runtara.Sdk;

return await Workflow.RunAsync<Order, Receipt>(
    async (workflow, order) =>
    {
        var work = new Work(workflow, order);
        var payment = await work.StepAsync("charge");
        await work.StepAsync("reserve");
        work.Note("asks to sleep until", "settled");
        await workflow.Sleep("settle", TimeSpan.FromSeconds(order.WaitSeconds));
        work.Note("is awake:", "settled");
        var parcel = await work.StepAsync("ship");
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

    /// <summary>Stands for the services that a real order would call; notes what ran and what is saved.</summary>
    internal sealed class Work(WorkflowContext workflow, Order order)
    {
        internal async Task<string> StepAsync(string step)
        {
            var result = await workflow.Step(step, ct => RunAsync(step, ct), Json.Default.String);
            Note("saved", step);
            return result;
        }

        private async Task<string> RunAsync(string step, CancellationToken ct)
        {
            Note("run", step);
            await Task.Delay(order.StepMilliseconds, ct);
            return $"{step}-{order.OrderId}";
        }

        internal void Note(string what, string step)
        {
            var line = $"{TimeProvider.System.GetUtcNow():O} attempt {workflow.Attempt}: {what} {step}";
            Console.WriteLine($"{order.OrderId}: {line}");
            File.AppendAllLines(Path.Combine(workflow.WorkspaceDir, "steps.log"), [line]);
        }
    }

    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
    [JsonSerializable(typeof(Order))]
    [JsonSerializable(typeof(Receipt))]
    [JsonSerializable(typeof(string))]
    internal sealed partial class Json : JsonSerializerContext;
}
