using System.Text;
using Runtara.Actors.Runners;
using Runtara.Runner.Files;

namespace Runtara.Runner.Tests.Files;

public sealed class OutputFileTests
{
    [Fact]
    public void All_keys_are_read()
    {
        var output = Parse("""
            {"status":"sleeping","result":{"a":"ä"},"error":"e","checkpoint_id":"c","wake_after_ms":1500,"more":[]}
            """);

        Assert.Equal(RunOutputStatus.Sleeping, output!.Status);
        Assert.Equal("""{"a":"ä"}""", Encoding.UTF8.GetString(output.Result.Span));
        Assert.Equal(("e", "c"), (output.Error, output.CheckpointId));
        Assert.Equal(TimeSpan.FromSeconds(1.5), output.WakeAfter);
    }

    [Theory]
    [InlineData("completed", RunOutputStatus.Completed)]
    [InlineData("failed", RunOutputStatus.Failed)]
    [InlineData("suspended", RunOutputStatus.Suspended)]
    [InlineData("sleeping", RunOutputStatus.Sleeping)]
    [InlineData("cancelled", RunOutputStatus.Cancelled)]
    public void Each_status_is_read_and_nothing_else_is_required(string word, RunOutputStatus status)
    {
        Assert.Equal(
            new RunOutput(status, default, null, null, null), Parse($$"""{"status":"{{word}}"}""")! with
            {
                Result = default,
            });
    }

    [Theory]
    [InlineData("""{"status":"Completed"}""")]
    [InlineData("""{"status":1}""")]
    [InlineData("""{"result":1}""")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("")]
    public void What_is_not_an_output_is_none(string json)
    {
        Assert.Null(Parse(json));
    }

    [Fact]
    public void A_wake_beyond_all_time_is_as_late_as_can_be_told()
    {
        Assert.True(Parse("""{"status":"sleeping","wake_after_ms":18446744073709551615}""")!.WakeAfter > TimeSpan.Zero);
    }

    private static RunOutput? Parse(string json) => OutputFile.Parse(Encoding.UTF8.GetBytes(json)).Output;
}
