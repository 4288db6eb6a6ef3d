using Akka.Configuration;
using Runtara.Daemon.Configuration;

namespace Runtara.Host.Tests;

/// <summary>Variables of Runtara 1.4.1 that are more, or less, than another name of a key.</summary>
public sealed class VariablesTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("runtara-config-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private DaemonConfiguration Load(string hocon, params (string Name, string Value)[] variables)
    {
        var file = Path.Combine(_directory, "runtara.conf");
        File.WriteAllText(file, hocon);
        return DaemonConfiguration.Load(file, [], variables.ToDictionary(v => v.Name, v => v.Value));
    }

    [Theory]
    [InlineData("", "127.0.0.1:9002")]
    [InlineData("runtara.environment.listen = \"0.0.0.0:8002\"", "0.0.0.0:9002")]
    [InlineData("runtara.environment.listen = \"[::1]:8002\"", "[::1]:9002")]
    public void The_variable_of_a_port_leaves_the_address_as_it_is(string file, string expected) => Assert.Equal(
        expected, Load(file, ("RUNTARA_ENV_QUIC_PORT", "9002")).Options.EnvironmentListen.ToString());

    [Fact]
    public void Two_variables_that_name_two_databases_are_an_error()
    {
        (string, string)[] same =
            [("RUNTARA_DATABASE_URL", "sqlite:a"), ("RUNTARA_ENVIRONMENT_DATABASE_URL", "sqlite:a")];
        Assert.Equal("sqlite:a", Load("", same).Options.DatabaseUrl);
        same[1].Item2 = "sqlite:b";
        Assert.Contains(
            "RUNTARA_DATABASE_URL and RUNTARA_ENVIRONMENT_DATABASE_URL name two databases",
            Assert.Throws<ConfigurationException>(() => Load("", same)).Message);
    }

    [Theory]
    [InlineData("BUNDLES_DIR", "DATA_DIR")]
    [InlineData("EXECUTION_TIMEOUT_SECS", "timeout_seconds")]
    [InlineData("RUNTARA_DB_POOL_SIZE", "RUNTARA_DATABASE_URL says it, as ?maximum_pool_size=30")]
    [InlineData("RUNTARA_QUIC_MAX_UNI_STREAMS", "RUNTARA_QUIC_MAX_BI_STREAMS")]
    [InlineData("RUNTARA_QUIC_PORT", "RUNTARA_CORE_ADDR")]
    public void A_variable_of_the_reference_that_changes_nothing_is_named_with_what_to_set(string name, string instead)
    {
        Assert.Empty(Load("", (name, "")).Warnings);
        var ignored = Assert.Single(Load("", (name, "30")).Warnings);
        Assert.StartsWith($"{name} is set and changes nothing here: ", ignored);
        Assert.Contains(instead, ignored);
    }

    [Fact]
    public void What_is_shown_has_no_password()
    {
        const string url = "postgres://me:hunter2@db.example:5433/orders?sslmode=require";
        var shown = Load("", ("RUNTARA_DATABASE_URL", url)).Show();
        Assert.Contains("database-url = \"postgres://me@db.example:5433/orders\"", shown);
        Assert.DoesNotContain("hunter2", shown);
    }
}
