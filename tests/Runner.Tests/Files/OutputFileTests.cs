using System.Text;
using System.Text.Json;
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
        var wake = Parse("""{"status":"sleeping","wake_after_ms":18446744073709551615}""")!.WakeAfter!.Value;

        Assert.InRange(wake, TimeSpan.MaxValue - TimeSpan.FromMilliseconds(10), TimeSpan.MaxValue);
    }

    [Theory]
    [InlineData("""
        "\ud83d"
        """, "\ufffd")]
    [InlineData("""
        "\uDE00\ud83d"
        """, "\ufffd\ufffd")]
    [InlineData("""
        "\ud83d\u0041"
        """, "\ufffdA")]
    [InlineData("""
        "\ud83d\ud83d\ude00"
        """, "\ufffd\ud83d\ude00")]
    [InlineData("""
        "\\ud83d \ud83d\\"
        """, "\\ud83d \ufffd\\")]
    public void Half_a_surrogate_pair_is_replaced(string text, string expected)
    {
        var output = Parse($$"""{"status":"failed","result":{ {{text}}: {{text}} },"error":{{text}}}""")!;

        Assert.Equal(expected, output.Error);
        using var result = JsonDocument.Parse(output.Result);
        var member = result.RootElement.EnumerateObject().Single();
        Assert.Equal((expected, expected), (member.Name, member.Value.GetString()));
    }

    [Theory]
    [InlineData("\\ud83d\\uDE00")]
    [InlineData("😀")]
    public void A_pair_of_surrogates_is_one_character(string text)
    {
        using var result = JsonDocument.Parse(Result($$"""{"status":"completed","result":"{{text}}"}"""));

        Assert.Equal("😀", result.RootElement.GetString());
    }

    [Fact]
    public void Bytes_that_are_no_UTF_8_are_replaced()
    {
        var bytes = Encoding.Latin1.GetBytes("""{"status":"failed","result":["ä"],"error":"ä"}""");

        var output = OutputFile.Parse(bytes).Output!;

        Assert.Equal(
            ("[\"\ufffd\"]", "\ufffd"), (Encoding.UTF8.GetString(output.Result.Span), output.Error));
    }

    [Theory]
    [InlineData(200)]
    [InlineData(1023)]
    public void A_result_may_be_deep(int depth)
    {
        var result = new string('[', depth) + new string(']', depth);

        Assert.Equal(result, Result($$"""{"status":"completed","result":{{result}}}"""));
    }

    [Fact]
    public void A_file_that_is_too_deep_is_no_output_and_says_so()
    {
        var result = new string('[', 1024) + new string(']', 1024);

        var (output, problem) = OutputFile.Parse(
            Encoding.UTF8.GetBytes($$"""{"status":"completed","result":{{result}}}"""));

        Assert.Null(output);
        Assert.Contains("1024", problem);
    }

    [Fact]
    public void Whatever_the_bytes_are_reading_them_never_throws()
    {
        var random = new Random(7);
        var good = Encoding.UTF8.GetBytes("""
            {"status":"failed","result":{"ä\ud83d\ude00":["x\\\u00e4",1.5e3]},"error":"\udc00","wake_after_ms":1}
            """);
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = good.ToArray();
            for (var changes = random.Next(1, 4); changes > 0; changes--)
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            var (output, problem) = OutputFile.Parse(bytes);
            Assert.True(output is null ^ problem is null, Convert.ToHexString(bytes));
        }
    }

    private static string Result(string json) => Encoding.UTF8.GetString(Parse(json)!.Result.Span);

    private static RunOutput? Parse(string json) => OutputFile.Parse(Encoding.UTF8.GetBytes(json)).Output;
}
