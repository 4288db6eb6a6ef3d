using System.Globalization;
using System.Text.Json.Serialization;
using Runtara.Sdk;

// One program for all end-to-end tests; the input says what it does. What it did is in the workspace, where the test
// reads it: "begin n", "run k", "ack k", "overlap".
return await Workflow.RunAsync<Plan, Outcome>(Play.RunAsync, PlanJson.Default.Plan, PlanJson.Default.Outcome);

internal sealed record Plan
{
    /// <summary>steps, crash, sleep, idle, race or report.</summary>
    public string Mode { get; set; } = "steps";

    /// <summary>How many steps.</summary>
    public int Steps { get; set; } = 20;

    /// <summary>How long each step works, in milliseconds.</summary>
    public int StepMilliseconds { get; set; } = 100;

    /// <summary>How many attempts crash before one succeeds.</summary>
    public int Crashes { get; set; }

    /// <summary>The attempt that waits for the file "go" in its workspace before it goes on; 0 means none.</summary>
    public int GateAt { get; set; }

    /// <summary>The exit code of a crash; 0 means 42.</summary>
    public int ExitCode { get; set; }

    /// <summary>Whether it writes down nothing of what it does.</summary>
    public bool Quiet { get; set; }

    /// <summary>The length of the sleep, of the idleness or of the raced step, in seconds.</summary>
    public int Seconds { get; set; }
}

internal sealed record Outcome(int Sum, int Attempt);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Plan))]
[JsonSerializable(typeof(Outcome))]
[JsonSerializable(typeof(int))]
internal sealed partial class PlanJson : JsonSerializerContext;

internal static class Play
{
    private static bool s_quiet;

    public static async Task<Outcome> RunAsync(WorkflowContext workflow, Plan plan)
    {
        using var alone = TakeLock(workflow);
        s_quiet = plan.Quiet;
        Note(workflow, $"begin {workflow.Attempt}");
        if (workflow.Attempt == plan.GateAt)
            await PassGateAsync(workflow);
        switch (plan.Mode)
        {
            case "crash":
                CrashUntilEnough(workflow, plan);
                break;
            case "report":
                // What the daemon needs not be there for.
                File.WriteAllText("/data/output.json", """{"status":"completed","result":{"reported":true}}""");
                Environment.Exit(0);
                break;
            case "sleep":
                await workflow.Step("before", _ => Task.FromResult(1), PlanJson.Default.Int32);
                await workflow.Sleep("nap", TimeSpan.FromSeconds(plan.Seconds));
                Note(workflow, "awake");
                break;
            case "race":
                var timeout = workflow.Sleep("timeout", TimeSpan.FromMinutes(5));
                await Task.WhenAny(StepAsync(workflow, -1, plan.Seconds * 1000), timeout);
                await StepAsync(workflow, -2, plan.Seconds * 1000);
                break;
            case "idle":
                await Task.Delay(TimeSpan.FromSeconds(plan.Seconds));
                break;
        }
        var sum = 0;
        for (var i = 0; i < plan.Steps; i++)
            sum += await StepAsync(workflow, i, plan.StepMilliseconds);
        return new Outcome(sum, workflow.Attempt);
    }

    private static async Task<int> StepAsync(WorkflowContext workflow, int i, int milliseconds)
    {
        var value = await workflow.Step(
            $"step-{i}",
            async _ =>
            {
                Note(workflow, $"run {i}");
                await Task.Delay(milliseconds);
                return i;
            },
            PlanJson.Default.Int32);
        Note(workflow, $"ack {i}");
        return value;
    }

    private static async Task PassGateAsync(WorkflowContext workflow)
    {
        Note(workflow, "waiting");
        while (!File.Exists(Path.Combine(workflow.WorkspaceDir, "go")))
            await Task.Delay(10);
    }

    private static void CrashUntilEnough(WorkflowContext workflow, Plan plan)
    {
        var path = Path.Combine(workflow.WorkspaceDir, "crashes");
        var done = File.Exists(path) ? int.Parse(File.ReadAllText(path), CultureInfo.InvariantCulture) : 0;
        if (done >= plan.Crashes)
            return;
        File.WriteAllText(path, (done + 1).ToString(CultureInfo.InvariantCulture));
        Console.Error.WriteLine($"crash {done + 1} of {plan.Crashes}, on purpose");
        Environment.Exit(plan.ExitCode == 0 ? 42 : plan.ExitCode);
    }

    // Two attempts at once would both hold the workspace: the second one finds the lock taken and says so.
    private static FileStream? TakeLock(WorkflowContext workflow)
    {
        try
        {
            return new FileStream(
                Path.Combine(workflow.WorkspaceDir, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite,
                FileShare.None);
        }
        catch (IOException)
        {
            Note(workflow, "overlap");
            return null;
        }
    }

    private static void Note(WorkflowContext workflow, string line)
    {
        if (!s_quiet)
            File.AppendAllText(Path.Combine(workflow.WorkspaceDir, "log"), line + "\n");
    }
}
