using System.Collections;
using System.Net;
using Akka.Configuration;
using Runtara.Daemon.Configuration;
using Runtara.Runner;

namespace Runtara.Host.Tests;

public sealed class ConfigurationTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("runtara-config-").FullName;

    private DaemonConfiguration Load(
        string? hocon = null, IReadOnlyList<string>? sets = null, params (string Name, string Value)[] variables)
    {
        string? file = null;
        if (hocon is not null)
            File.WriteAllText(file = Path.Combine(_directory, "runtara.conf"), hocon);
        return DaemonConfiguration.Load(file, sets ?? [], variables.ToDictionary(v => v.Name, v => v.Value));
    }

    private DaemonOptions Options(string? hocon = null, params string[] sets) => Load(hocon, sets).Options;

    private DaemonOptions FromVariable(string name, string value) => Load(variables: (name, value)).Options;

    private string Problem(string? hocon = null, params string[] sets) =>
        Assert.Throws<ConfigurationException>(() => Load(hocon, sets)).Message;

    private string ProblemOfVariable(string name, string value) =>
        Assert.Throws<ConfigurationException>(() => Load(variables: (name, value))).Message;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Nothing_said_is_the_defaults()
    {
        var options = Options();
        Assert.Equal("127.0.0.1:8002", options.EnvironmentListen.ToString());
        Assert.Equal("127.0.0.1:8001", options.InstanceListen.ToString());
        Assert.Equal(".data", options.DataDirectory);
        Assert.Equal("sqlite:.data/runtara.db", options.Store.DatabaseUrl);
    }

    [Theory]
    [InlineData("runtara { runner { capcity = 8 } }",
        "runtara.runner.capcity: unknown key; did you mean runtara.runner.capacity?")]
    [InlineData(
        "runtara.edge.page-maxx = 8", "runtara.edge.page-maxx: unknown key; did you mean runtara.edge.page-max?")]
    [InlineData(
        "runtara { datadirectory = x }", "runtara.datadirectory: unknown key; did you mean runtara.data-directory?")]
    [InlineData("runtara.instances.max-attempts.deep = 1", "runtara.instances.max-attempts.deep: unknown key")]
    public void An_unknown_key_is_an_error_that_names_the_nearest(string hocon, string problem)
    {
        Assert.Contains(problem, Problem(hocon));
        Assert.Contains(problem, Problem(hocon, "runner.capacity=3"));
    }

    [Theory]
    [InlineData("pasta", true, true)]
    [InlineData("pasta", false, false)]
    [InlineData("none", true, false)]
    [InlineData("host", true, false)]
    public void Who_starts_the_daemon_as_root_with_a_network_mode_that_starts_no_container_is_warned(
        string mode, bool isRoot, bool isWarned)
    {
        var warnings = DaemonConfiguration
            .Load(null, [$"runner.network-mode={mode}"], new Hashtable(), isRoot).Warnings;
        Assert.Equal(
            isWarned,
            warnings.Any(w => w.Contains("pasta, the default, starts no container for root", StringComparison.Ordinal)
                && w.Contains("runner.network-mode", StringComparison.Ordinal)));
    }

    [Fact]
    public void Instances_are_not_asked_without_pause_after_what_was_found() => Assert.Contains(
        "runtara.runner.orphan-grace: must be at least 100ms", Problem(null, "runner.orphan-grace=0s"));

    [Fact]
    public void An_unknown_key_of_the_command_line_is_an_error()
    {
        Assert.Contains("unknown key 'runer.capacity'", Problem(null, "runer.capacity=8"));
        Assert.Contains("did you mean runtara.runner.capacity?", Problem(null, "runtara.runner.capcity=8"));
        Assert.Contains("'runner.capacity' is not key=value", Problem(null, "runner.capacity"));
        Assert.Contains("'=8' is not key=value", Problem(null, "=8"));
    }

    [Fact]
    public void Every_problem_is_told_at_once()
    {
        var problem = Problem("runtara { nonsense = 1, log-level = loud, runner.capacity = many }");
        Assert.Contains("runtara.nonsense", problem);
        Assert.Contains("runtara.log-level", problem);
        Assert.Contains("runtara.runner.capacity", problem);
    }

    [Fact]
    public void The_environment_wins_over_the_file_and_the_command_line_over_both()
    {
        const string file = "runtara { data-directory = of-file, quic { streams-max = 1, handshakes-max = 1 } }";
        Assert.Equal("of-file", Load(file).Options.DataDirectory);
        Assert.Equal("of-environment", Load(file, variables: ("DATA_DIR", "of-environment")).Options.DataDirectory);
        var all = Load(
            file, ["data-directory=of-set", "runtara.quic.streams-max=3"],
            ("DATA_DIR", "of-environment"), ("RUNTARA_QUIC_MAX_BI_STREAMS", "2"),
            ("RUNTARA_QUIC_MAX_INCOMING", "2")).Options;
        Assert.Equal(("of-set", 3, 2), (all.DataDirectory, all.QuicStreamsMax, all.QuicHandshakesMax));
        Assert.Equal("of-file", Load(file, variables: ("DATA_DIR", "")).Options.DataDirectory);
    }

    [Theory]
    [InlineData("instances.stale-after", "soon", "a duration")]
    [InlineData("instances.stale-after", "-5s", "a duration")]
    [InlineData("instances.stale-after", "infinite", "a duration")]
    [InlineData("instances.stale-after", "", "a duration")]
    [InlineData("instances.stale-after", "5 parsecs", "a duration")]
    [InlineData("instances.stale-after", "99999999999999d", "a duration")]
    [InlineData("instances.stale-after", "120", "a duration of 1ms to 24d with its unit")]
    [InlineData("instances.stale-after", "0", "a duration of 1ms to 24d with its unit")]
    [InlineData("edge.request-timeout", "0s", "a duration of 1ms to 24d with its unit")]
    [InlineData("edge.request-timeout", "60d", "a duration of 1ms to 24d with its unit")]
    [InlineData("edge.request-timeout", "100us", "a duration of 1ms to 24d with its unit")]
    [InlineData("retention.interval", "0s", "a duration of 1ms to 24d with its unit")]
    [InlineData("edge.stop-grace", "5", "a duration of 0s to 24d with its unit")]
    [InlineData("edge.stop-grace", "25d", "a duration of 0s to 24d with its unit")]
    [InlineData("memory.quiet", "2", "0 (which means never), or a duration of up to 24d with its unit")]
    [InlineData("edge.sleep-max", "3650", "a duration of 1s to 36500d with its unit")]
    [InlineData("edge.sleep-max", "36501d", "a duration of 1s to 36500d with its unit")]
    [InlineData("images.max-bytes", "much", "a size")]
    [InlineData("images.max-bytes", "-1b", "a size")]
    [InlineData("edge.checkpoint-bytes-max", "4GiB", "a size")]
    [InlineData("quic.receive-buffer", "4GiB", "a size")]
    [InlineData("environment.listen", "localhost:8002", "an address")]
    [InlineData("environment.listen", "8002", "an address")]
    [InlineData("environment.listen", "127.0.0.1", "an address")]
    [InlineData("environment.listen", "127.0.0.1:70000", "an address")]
    [InlineData("environment.listen", "::1", "an address")]
    [InlineData("environment.listen", "[::1]", "an address")]
    [InlineData("quic.streams-max", "many", "a whole number")]
    [InlineData("quic.streams-max", "-1", "a whole number")]
    [InlineData("quic.streams-max", "1.5", "a whole number")]
    [InlineData("quic.streams-max", "3000000000", "a whole number")]
    [InlineData("runner.network-mode", "bridge", "pasta, host or none")]
    [InlineData("runner.cgroup-manager", "7", "auto, cgroupfs, systemd or disabled")]
    [InlineData("runner.skip-certificate-verification", "maybe", "true or false")]
    public void A_bad_value_is_an_error_with_key_value_and_rule(string key, string value, string rule)
    {
        var problem = Problem(null, $"{key}={value}");
        Assert.Contains($"runtara.{key}: '{value}' is not {rule}", problem);
        Assert.Contains($"runtara.{key}: '{value}' is not {rule}", Problem($"runtara {{ {key} = \"{value}\" }}"));
    }

    [Theory]
    [InlineData("runtara { instances.stale-after = 120 }", "runtara.instances.stale-after: '120' is not a duration")]
    [InlineData("runtara { runner.capacity = { a = 1 } }", "runtara.runner.capacity")]
    [InlineData("runtara { runner.capacity = [1, 2] }", "runtara.runner.capacity")]
    [InlineData("runtara { quic.alpn = { a = 1 } }", "runtara.quic.alpn")]
    [InlineData("runtara { quic = 5 }", "runtara.quic")]
    [InlineData("runtara = 5", "runtara")]
    [InlineData("runtara = [1]", "runtara")]
    public void A_value_of_the_wrong_shape_is_an_error(string hocon, string key) =>
        Assert.Contains(key, Problem(hocon));

    [Theory]
    [InlineData("runtara { a = [1, 2 }")]
    [InlineData("runtara { data-directory = ${nowhere} }")]
    [InlineData("include \"missing.conf\"")]
    [InlineData("=")]
    public void A_syntax_error_is_a_configuration_error_that_names_the_file(string hocon) =>
        Assert.Contains("runtara.conf", Problem(hocon));

    [Theory]
    [InlineData("runtara {\n  log-level = info\n", "line 1: '{' is not closed")]
    [InlineData("runtara {\n  quic { streams-max = 1\n}\n", "line 1: '{' is not closed")]
    [InlineData("runtara { }\n}", "line 2: '}' closes nothing")]
    [InlineData("runtara {\n  quic.alpn = [a, b\n}", "line 3: '}' does not close the '[' of line 2")]
    [InlineData("runtara {\n  log-level = \"info\n}", "line 2: the quotation mark is not closed")]
    [InlineData("runtara {\n  log-level = \"\"\"info\n}", "line 2: the quotation mark is not closed")]
    public void A_bracket_or_quotation_mark_that_does_not_match_is_an_error_with_its_line(string hocon, string problem)
    {
        var told = Problem(hocon);
        Assert.Contains("runtara.conf", told);
        Assert.Contains(problem, told);
    }

    [Theory]
    [InlineData("0", 0)]
    [InlineData("0s", 0)]
    [InlineData("1500ms", 1500)]
    [InlineData("24d", 2_073_600_000)]
    public void A_duration_of_nothing_is_taken_where_it_means_never(string text, double milliseconds)
    {
        var quiet = TimeSpan.FromMilliseconds(milliseconds);
        Assert.Equal(quiet, Options(null, $"memory.quiet={text}").MemoryQuiet);
        Assert.Equal(quiet, Options($"runtara {{ memory.quiet = {text} }}").MemoryQuiet);
    }

    [Fact]
    public void Brackets_in_comments_and_quotations_are_none()
    {
        var options = Options(
            "# a {\n// b [\nruntara { data-directory = \"a{\\\"[\" # }\n quic.alpn = [\"\"\"}\"\"\"],"
            + " instance.advertise = \"\" }");
        Assert.Equal("a{\"[", options.DataDirectory);
        Assert.Equal("}", options.Alpn[0]);
    }

    [Theory]
    [InlineData("a = ${a}\nruntara { log-level = ${a} }", "${a}")]
    [InlineData(
        "runtara { log-level = ${runtara.data-directory}, data-directory = ${runtara.log-level} }", "${runtara.")]
    [InlineData("runtara { quic { alpn = [${runtara.quic}] } }", "${runtara.quic}")]
    public void A_reference_that_leads_back_to_itself_is_an_error_that_names_it(string hocon, string reference)
    {
        var told = Problem(hocon);
        Assert.Contains("runtara.conf: the reference " + reference, told);
        Assert.Contains("leads back to itself", told);
    }

    [Fact]
    public void A_value_may_be_referred_to_from_many_places() => Assert.Equal(
        "x", Options("a = x\nb = ${a}\nruntara { data-directory = ${b}, quic.alpn = [${a}, ${b}] }").DataDirectory);

    [Fact]
    public void A_missing_file_is_a_configuration_error()
    {
        var e = Assert.Throws<ConfigurationException>(
            () => DaemonConfiguration.Load(Path.Combine(_directory, "none.conf"), [], new Hashtable()));
        Assert.Contains("none.conf", e.Message);
    }

    [Theory]
    [InlineData("data-directory=", "runtara.data-directory: must not be empty")]
    [InlineData("database-url=postgres://h:port/db", "runtara.database-url: must be postgres://user")]
    [InlineData("database-url=postgres://h/db?no_such_option=1", "runtara.database-url: must be postgres://user")]
    [InlineData("database-url=sqlite:", "runtara.database-url: must name a file: sqlite:path")]
    [InlineData("quic.certificate=a.pem", "runtara.quic.certificate: needs runtara.quic.certificate-key")]
    [InlineData("quic.certificate-key=a.pem", "runtara.quic.certificate: needs runtara.quic.certificate-key")]
    [InlineData("instances.max-attempts=0", "runtara.instances.max-attempts: must be at least 1")]
    [InlineData("instances.snapshot-every=9", "runtara.instances.snapshot-every: must be 0 (never) or at least 10")]
    [InlineData("instances.snapshot-every=-1", "runtara.instances.snapshot-every: '-1' is not a whole number")]
    [InlineData("wakes.horizon=5s", "runtara.wakes.horizon: must be more than runtara.wakes.scan-interval")]
    [InlineData("instances.backoff-max=500ms", "runtara.instances.backoff-max: must not be less than")]
    [InlineData("quic.streams-max=0", "runtara.quic.streams-max: must be at least 1")]
    [InlineData("quic.handshakes-max=0", "runtara.quic.handshakes-max: must be at least 1")]
    [InlineData("quic.alpn=[runtara, \"\"]", "runtara.quic.alpn: '' is no application protocol")]
    [InlineData("quic.alpn=[grüße]", "runtara.quic.alpn: 'grüße' is no application protocol")]
    [InlineData("retention.interval=2d", "runtara.retention.interval: must be at most 1d")]
    [InlineData("log-level=loud", "runtara.log-level: must be debug, info, warning or error")]
    [InlineData("instance.advertise=somewhere", "runtara.instance.advertise: must be host:port")]
    [InlineData("instance.advertise=somewhere:0", "runtara.instance.advertise: must be host:port")]
    public void A_rule_between_settings_is_an_error_that_names_the_key(string set, string problem) =>
        Assert.Contains(problem, Problem(null, set));

    [Fact]
    public void Faults_on_purpose_need_the_consent_of_the_environment()
    {
        Assert.Null(Options().Store.Faults);
        Assert.Contains(
            "runtara.database.fault-percent: makes requests fail", Problem(null, "database.fault-percent=5"));
        Assert.Null(FromVariable("RUNTARA_INJECT_FAULTS", "yes").Store.Faults);
        var faults = Load(
            null, ["database.fault-percent=5", "database.fault-seed=7"], ("RUNTARA_INJECT_FAULTS", "yes"));
        var options = faults.Options.Store.Faults!;
        Assert.Equal((0.05, 0.05, 0.05, 7), (options.Before, options.After, options.Delayed, options.Seed));
        Assert.Contains("NEVER in production", faults.Show());
        Assert.Contains("must be at most 40", Problem(null, "database.fault-percent=41"));
    }

    [Fact]
    public void The_variables_of_the_reference_are_read()
    {
        Assert.Equal(9002, FromVariable("RUNTARA_ENV_QUIC_PORT", "9002").EnvironmentListen.Port);
        Assert.Equal(
            IPEndPoint.Parse("10.0.0.1:9001"), FromVariable("RUNTARA_CORE_ADDR", "10.0.0.1:9001").InstanceListen);
        Assert.Equal("/var/x y", FromVariable("DATA_DIR", "/var/x y").DataDirectory);
        Assert.Equal(NetworkMode.Host, FromVariable("RUNTARA_NETWORK_MODE", "host").Runner.NetworkMode);
        Assert.Equal(["1.1.1.1", "8.8.8.8"], FromVariable("RUNTARA_PASTA_DNS", "1.1.1.1, 8.8.8.8").Runner.PastaDns);
        Assert.Equal(5, FromVariable("RUNTARA_QUIC_MAX_INCOMING", "5").QuicHandshakesMax);
        Assert.Equal(6, FromVariable("RUNTARA_QUIC_MAX_BI_STREAMS", "6").QuicStreamsMax);
        Assert.Equal(TimeSpan.FromSeconds(7), FromVariable("RUNTARA_QUIC_IDLE_TIMEOUT_MS", "7000").QuicIdleTimeout);
        Assert.Equal(TimeSpan.Zero, FromVariable("RUNTARA_QUIC_KEEP_ALIVE_MS", "0").QuicKeepAlive);
        Assert.Equal(8000, FromVariable("RUNTARA_QUIC_UDP_RECV_BUFFER", "8000").QuicReceiveBuffer);
        Assert.Equal(9000, FromVariable("RUNTARA_QUIC_UDP_SEND_BUFFER", "9000").QuicSendBuffer);
        Assert.Equal(50, FromVariable("RUNTARA_QUIC_MAX_HANDLERS", "50").Edge.CommandsMax);
        Assert.Equal("postgres://h/d", FromVariable("RUNTARA_DATABASE_URL", "postgres://h/d").Store.DatabaseUrl);
        Assert.Equal(
            "postgres://h/d", FromVariable("RUNTARA_ENVIRONMENT_DATABASE_URL", "postgres://h/d").Store.DatabaseUrl);
        Assert.Equal(
            TimeSpan.FromMilliseconds(1500), FromVariable("RUNTARA_DB_REQUEST_TIMEOUT_MS", "1500").Edge.RequestTimeout);
    }

    [Fact]
    public void No_handlers_means_no_limit_of_handlers() =>
        Assert.Equal(int.MaxValue, FromVariable("RUNTARA_QUIC_MAX_HANDLERS", "0").Edge.CommandsMax);

    [Theory]
    [InlineData("RUNTARA_ENV_QUIC_PORT", "many", "runtara.environment.listen")]
    [InlineData("RUNTARA_ENV_QUIC_PORT", "70000", "runtara.environment.listen")]
    [InlineData("RUNTARA_QUIC_IDLE_TIMEOUT_MS", "soon", "runtara.quic.idle-timeout")]
    [InlineData("RUNTARA_QUIC_IDLE_TIMEOUT_MS", "}", "runtara.quic.idle-timeout")]
    [InlineData("RUNTARA_DB_REQUEST_TIMEOUT_MS", "0", "runtara.edge.request-timeout")]
    [InlineData("RUNTARA_QUIC_MAX_INCOMING", "1 }", "runtara.quic.handshakes-max")]
    [InlineData("RUNTARA_NETWORK_MODE", "bridge\n}", "runtara.runner.network-mode")]
    public void A_bad_variable_is_an_error_that_names_it_and_its_key(string name, string value, string key)
    {
        var problem = ProblemOfVariable(name, value);
        Assert.Contains(key, problem);
        Assert.Contains(name, problem);
    }

    [Theory]
    [InlineData("core.internal:8001")]
    [InlineData("localhost:8001")]
    [InlineData("127.0.0.1")]
    public void A_core_address_that_cannot_be_bound_is_an_error_that_says_where_names_go(string value)
    {
        var problem = ProblemOfVariable("RUNTARA_CORE_ADDR", value);
        Assert.Contains($"runtara.instance.listen: '{value}' is not an address", problem);
        Assert.Contains("RUNTARA_CORE_ADDR", problem);
        Assert.Contains("instance.advertise", problem);
    }

    [Theory]
    [InlineData("core.internal:8001")]
    [InlineData("10.0.0.1:8001")]
    [InlineData("[::1]:8001")]
    public void Workflows_may_be_told_a_name(string advertised) =>
        Assert.Equal(advertised, Options(null, $"instance.advertise={advertised}").InstanceAdvertise);

    [Fact]
    public void What_is_shown_reads_back_as_the_same()
    {
        var shown = Load(null,
        [
            "data-directory=/a \"b\"\\c", "environment.listen=[::1]:1", "quic.alpn=[a, b]",
                "sleep.hibernate-after=1500ms",
            "images.max-bytes=3GiB", "runner.network-mode=none", "runner.cgroup-manager=systemd",
            "runner.skip-certificate-verification=off", "instance.advertise=name:1",
        ]).Show();
        var again = Load(shown);
        Assert.Equal(shown, again.Show());
        Assert.Equal("/a \"b\"\\c", again.Options.DataDirectory);
        Assert.Equal(["a", "b"], again.Options.Alpn);
        Assert.Equal(3L << 30, again.Options.Edge.ImageBytesMax);
        Assert.All(SettingTable.All, s => Assert.Contains($"  {s.Key} = ", shown));
        Assert.Equal(Load().Show(), Load(Load().Show()).Show());
    }

    [Fact]
    public void Every_default_of_akka_is_read_and_can_be_overridden()
    {
        var akka = Load("akka.cluster.gossip-interval = 7s", ["akka.remote.dot-netty.tcp.send-buffer-size=1MiB"]).Akka;
        Assert.Equal(TimeSpan.FromSeconds(7), akka.GetTimeSpan("akka.cluster.gossip-interval"));
        Assert.Equal(1 << 20, akka.GetByteSize("akka.remote.dot-netty.tcp.send-buffer-size"));
        Assert.Equal(8 << 20, akka.GetByteSize("akka.remote.dot-netty.tcp.maximum-frame-size"));
        Assert.Equal(TimeSpan.FromMilliseconds(10), akka.GetTimeSpan("akka.scheduler.tick-duration"));
        Assert.Equal("keep-majority", akka.GetString("akka.cluster.split-brain-resolver.active-strategy"));
        Assert.Equal(TimeSpan.FromSeconds(3), akka.GetTimeSpan("akka.cluster.split-brain-resolver.stable-after"));
        Assert.True(akka.GetBoolean("akka.cluster.split-brain-resolver.down-all-when-unstable"));
        Assert.NotNull(Type.GetType(akka.GetString("akka.cluster.downing-provider-class")));
        Assert.Equal(TimeSpan.FromMilliseconds(500), akka.GetTimeSpan("akka.cluster.down-removal-margin"));
        foreach (var key in (string[])["leader-actions-interval", "unreachable-nodes-reaper-interval",
            "singleton.hand-over-retry-interval", "sharding.retry-interval", "failure-detector.heartbeat-interval",
            "failure-detector.acceptable-heartbeat-pause", "failure-detector.expected-response-after",
            "sharding.waiting-for-state-timeout", "sharding.updating-state-timeout", "sharding.handoff-timeout",
            "sharding.coordinator-failure-backoff", "sharding.shard-failure-backoff",
                "sharding.entity-restart-backoff"])
            Assert.True(akka.GetTimeSpan($"akka.cluster.{key}") > TimeSpan.Zero, key);
        Assert.Equal("ddata", akka.GetString("akka.cluster.sharding.state-store-mode"));
        Assert.False(akka.GetBoolean("akka.cluster.sharding.remember-entities", true));
        Assert.False(akka.GetBoolean("akka.coordinated-shutdown.exit-clr", true));
        Assert.Equal(
            TimeSpan.FromSeconds(5),
            akka.GetTimeSpan("akka.coordinated-shutdown.phases.cluster-sharding-shutdown-region.timeout"));
        Assert.Empty(akka.GetStringList("akka.cluster.sharding.distributed-data.durable.keys"));
        Assert.Equal(500, akka.GetInt("akka.persistence.max-concurrent-recoveries"));
    }
}
