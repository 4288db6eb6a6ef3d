using Akka.Configuration;
using Runtara.Daemon.Configuration;

namespace Runtara.Host.Tests;

/// <summary>The keys below <c>retention</c>.</summary>
public sealed class RetentionSettingsTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("runtara-config-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private DaemonConfiguration Load(string hocon, params string[] sets)
    {
        var file = Path.Combine(_directory, "runtara.conf");
        File.WriteAllText(file, hocon);
        return DaemonConfiguration.Load(file, sets, new Dictionary<string, string>());
    }

    private string Problem(string set) => Assert.Throws<ConfigurationException>(() => Load("", set)).Message;

    [Theory]
    [InlineData("30d", 2_592_000.0)]
    [InlineData("12h", 43_200.0)]
    [InlineData("90m", 5400.0)]
    [InlineData("45 s", 45.0)]
    [InlineData("1500ms", 1.5)]
    [InlineData("never", null)]
    [InlineData("0", null)]
    [InlineData("0d", null)]
    public void Retention_is_a_time_with_its_unit_or_never(string text, double? seconds)
    {
        TimeSpan? age = seconds is { } s ? TimeSpan.FromSeconds(s) : null;
        var fromFile = Load(
            $$"""runtara.retention { completed = {{text}}, run-directories = "{{text}}" }""").Options.Retention;
        Assert.Equal((age, age), (fromFile.Completed, fromFile.RunDirectories));
        Assert.Equal(TimeSpan.FromDays(30), fromFile.Failed);
        var set = Load("", $"retention.failed={text}", $"retention.cancelled={text}");
        Assert.Equal((age, age), (set.Options.Retention.Failed, set.Options.Retention.Cancelled));
        var again = Load(set.Show());
        Assert.Equal(set.Options.Retention, again.Options.Retention);
    }

    [Theory]
    [InlineData("30")]
    [InlineData("-1d")]
    [InlineData("1.5d")]
    [InlineData("30 fortnights")]
    [InlineData("36501d")]
    [InlineData("99999999999999999999d")]
    [InlineData("forever")]
    [InlineData("")]
    public void Retention_without_a_unit_or_beyond_reason_is_refused(string text) =>
        Assert.Contains(
            $"runtara.retention.completed: '{text}' is not never, 0", Problem($"retention.completed={text}"));

    [Fact]
    public void Retention_keeps_thirty_days_unless_told_otherwise_and_says_so()
    {
        var shown = Load("").Show();
        foreach (var line in (string[])[
            "retention.completed = 30d", "retention.failed = 30d", "retention.cancelled = 30d",
            "retention.run-directories = 1d", "retention.batch = 100", "retention.rows = 500"])
        {
            Assert.Contains($"  {line}\n", shown);
        }
        Assert.Contains("runtara.retention.batch: must be at least 1", Problem("retention.batch=0"));
        Assert.Contains("runtara.retention.rows: must be at least 1", Problem("retention.rows=0"));
    }
}
