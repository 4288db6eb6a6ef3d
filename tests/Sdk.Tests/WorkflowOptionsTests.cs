namespace Runtara.Sdk.Tests;

public sealed class WorkflowOptionsTests
{
    private readonly Dictionary<string, string> _variables = new()
    {
        ["RUNTARA_INSTANCE_ID"] = "i",
        ["RUNTARA_TENANT_ID"] = "t",
    };

    [Fact]
    public void Only_the_ids_are_required()
    {
        var options = Read();

        Assert.Equal(("i", "t", 1, null), (options.InstanceId, options.TenantId, options.Attempt, options.ResumedFrom));
        Assert.Equal(("/data/runtara.sock", "/data/workspace"), (options.SocketPath, options.WorkspaceDir));
        Assert.Equal(
            (TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(1)), (options.HeartbeatInterval, options.AwakeInterval));
    }

    [Fact]
    public void Every_variable_is_read()
    {
        _variables["RUNTARA_SOCKET"] = "/s";
        _variables["RUNTARA_WORKSPACE_DIR"] = "/w";
        _variables["RUNTARA_CHECKPOINT_ID"] = "c";
        _variables["RUNTARA_ATTEMPT"] = "3";
        _variables["RUNTARA_HEARTBEAT_INTERVAL_MS"] = "0";
        _variables["RUNTARA_AWAKE_INTERVAL_MS"] = "250";

        var options = Read();

        Assert.Equal(("/s", "/w"), (options.SocketPath, options.WorkspaceDir));
        Assert.Equal(("c", 3), (options.ResumedFrom, options.Attempt));
        Assert.Equal(
            (TimeSpan.Zero, TimeSpan.FromMilliseconds(250)), (options.HeartbeatInterval, options.AwakeInterval));
    }

    [Theory]
    [InlineData("RUNTARA_INSTANCE_ID")]
    [InlineData("RUNTARA_TENANT_ID")]
    public void A_missing_id_is_named(string name)
    {
        _variables[name] = "";
        var missing = Assert.Throws<WorkflowException>(Read);
        Assert.Equal(WorkflowException.NotConfigured, missing.Code);
        Assert.Contains(name, missing.Message);
    }

    private WorkflowOptions Read() => WorkflowOptions.FromEnvironment(_variables.GetValueOrDefault);
}
