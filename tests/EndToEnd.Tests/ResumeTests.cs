using Runtara.EndToEnd.Tests.Harness;
using Runtara.Protocol.Environments;

namespace Runtara.EndToEnd.Tests;

/// <summary>
/// What a relaunch finds: the input of the start, the workspace, the checkpoints; a resume ends the sleep. On both
/// databases at once.
/// </summary>
[Collection(PatientCollection.Name)]
public class ResumeTests(WorkflowImage workflow, Databases databases, ITestOutputHelper output) : Story(output)
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    /// <summary>Without its input the program would take twenty steps and not three.</summary>
    [Fact]
    public Task A_resumed_and_a_woken_program_have_their_input_and_do_no_step_twice() =>
        databases.EachAsync(ResumeAsync);

    private async Task ResumeAsync(string? databaseUrl)
    {
        await using var daemon = NewDaemon(databaseUrl, "sleep.hibernate-idle=500ms");
        await daemon.StartAsync();
        var image = await daemon.Client.RegisterAsync(Tenant, "test-workflow", workflow.File);
        await daemon.Client.StartAsync(Tenant, image, "resumed", Input(seconds: 3600));
        await daemon.Client.StartAsync(Tenant, image, "woken", Input(seconds: 12));
        foreach (var id in (string[])["resumed", "woken"])
        {
            await Eventually.IsAsync(
                () => daemon.Client.StatusAsync(id), s => s.Status == InstanceStatus.StatusSuspended, Minute,
                $"{id} hibernates");
        }
        await daemon.KillAsync();
        await daemon.StartAsync();

        var resume = await daemon.Client.PersistAsync(
            new RpcRequest { ResumeInstance = new() { InstanceId = "resumed" } });

        // When the answer to the first was lost, the second is told that it runs.
        if (FaultPercent == 0 || !resume.ResumeInstance.Error.StartsWith("Cannot resume instance in 'running' state"))
            Assert.Equal((true, ""), (resume.ResumeInstance.Success, resume.ResumeInstance.Error));
        foreach (var id in (string[])["resumed", "woken"])
        {
            var ended = await daemon.Client.EndAsync(id, Minute);
            Assert.Equal((InstanceStatus.StatusCompleted, ""), (ended.Status, ended.Error));
            Assert.Equal("""{"sum":3,"attempt":2}""", ended.Output.ToStringUtf8());
            Assert.Equal(Input(id == "woken" ? 12 : 3600), ended.Input.ToStringUtf8());
            var log = WorkflowLog.Read(daemon.RunDirectory(Tenant, id));
            Assert.Equal((2, true, false), (log.Attempts, log.Has("awake"), log.Overlapped));
            Assert.Empty(log.RunAgainAfterAck());
        }
    }

    private static string Input(int seconds) =>
        $$"""{"mode":"sleep","seconds":{{seconds}},"steps":3,"stepMilliseconds":10}""";
}
