using System.Text.Json;
using Google.Protobuf;
using Runtara.Client.Tests;
using Runtara.Protocol.Environments;

namespace Runtara.Cli.Tests;

public sealed class CliTests : IAsyncLifetime
{
    private readonly StringWriter _output = new();
    private readonly StringWriter _error = new();
    private readonly Dictionary<string, string> _variables = [];
    private FakeServer _server = null!;

    public async Task InitializeAsync()
    {
        _server = await FakeServer.StartAsync();
        _variables["RUNTARA_ENVIRONMENT_ADDR"] = $"127.0.0.1:{_server.Address.Port}";
        _variables["RUNTARA_SERVER_CERT"] = _server.CertificatePath;
    }

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [InlineData(true, ExitCode.Ok)]
    [InlineData(false, ExitCode.Refused)]
    public async Task Health_exits_by_health(bool healthy, int expected)
    {
        Answer(new RpcResponse { HealthCheck = new HealthCheckResponse { Healthy = healthy, Version = "9.9" } });
        Assert.Equal(expected, await RunAsync("health"));
        Assert.Contains("9.9", _output.ToString());
    }

    [Fact]
    public async Task Health_as_json_has_the_names_of_the_reference()
    {
        Answer(new RpcResponse { HealthCheck = new HealthCheckResponse { Healthy = true, UptimeMs = 7 } });
        await RunAsync("health", "--json");
        var json = Json();
        Assert.Equal(["healthy", "version", "uptime_ms", "active_instances"], Names(json));
        Assert.Equal(7, json.GetProperty("uptime_ms").GetInt32());
    }

    [Fact]
    public async Task Status_as_json_has_the_names_and_forms_of_the_reference()
    {
        Answer(Status(InstanceStatus.StatusCompleted));
        Assert.Equal(ExitCode.Ok, await RunAsync("status", "i", "--json"));
        var json = Json();
        string[] expected =
        [
            "checkpoint_id", "cpu_usage_usec", "created_at", "error", "finished_at", "heartbeat_at", "image_id",
            "image_name", "input", "instance_id", "max_retries", "memory_peak_bytes", "output", "retry_count",
            "started_at", "status", "stderr", "tenant_id",
        ];
        Assert.Equal(expected, Names(json).Order(StringComparer.Ordinal));
        Assert.Equal("completed", json.GetProperty("status").GetString());
        Assert.Equal("2001-09-09T01:46:40Z", json.GetProperty("created_at").GetString());
        Assert.Equal(JsonValueKind.Null, json.GetProperty("finished_at").ValueKind);
        Assert.Equal("ü", json.GetProperty("output").GetProperty("a").GetString());
        Assert.Contains("ü", _output.ToString());
    }

    [Theory]
    [InlineData(InstanceStatus.StatusCompleted, ExitCode.Ok)]
    [InlineData(InstanceStatus.StatusFailed, ExitCode.InstanceFailed)]
    [InlineData(InstanceStatus.StatusCancelled, ExitCode.InstanceCancelled)]
    public async Task Wait_exits_by_how_the_instance_ended(InstanceStatus status, int expected)
    {
        Answer(Status(status));
        Assert.Equal(expected, await RunAsync("wait", "i"));
    }

    [Fact]
    public async Task Wait_has_an_exit_code_for_its_deadline()
    {
        Answer(Status(InstanceStatus.StatusRunning));
        Assert.Equal(ExitCode.Deadline, await RunAsync("wait", "i", "--deadline", "0"));
        Assert.Contains("not final", _error.ToString());
    }

    [Fact]
    public async Task Register_prints_the_id_alone()
    {
        Answer(new RpcResponse { RegisterImage = new RegisterImageResponse { Success = true, ImageId = "img-1" } });
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "binary");

        var exit = await RunAsync("register", "--binary", file, "--tenant", "t", "--name", "n");

        File.Delete(file);
        Assert.Equal((ExitCode.Ok, "img-1"), (exit, _output.ToString().Trim()));
        Assert.Equal(6, _server.Uploaded.Bytes);
    }

    [Fact]
    public async Task Images_are_a_table()
    {
        var images = new ListImagesResponse { TotalCount = 7 };
        images.Images.Add(new ImageSummary { ImageId = "img-1", TenantId = "t", Name = "[order]", Description = "d" });
        Answer(new RpcResponse { ListImages = images });

        Assert.Equal(ExitCode.Ok, await RunAsync("images", "--tenant", "t", "--limit", "1"));

        Assert.Contains("img-1", _output.ToString());
        Assert.Contains("[order]", _output.ToString());
        Assert.Contains("1 of 7", _output.ToString());
        Assert.Equal(("t", 1u), (Sent().ListImages.TenantId, Sent().ListImages.Limit));
    }

    [Fact]
    public async Task Start_reads_its_input_from_standard_input()
    {
        Answer(new RpcResponse { StartInstance = new StartInstanceResponse { Success = true, InstanceId = "i-9" } });

        var exit = await RunAsync(
            """{"a":1}""",
            "start", "--image", "m", "--tenant", "t", "--input", "-", "--env", "A=b=c", "--timeout", "9");

        Assert.Equal((ExitCode.Ok, "i-9"), (exit, _output.ToString().Trim()));
        var sent = Sent().StartInstance;
        Assert.Equal(("""{"a":1}""", "b=c", 9u), (sent.Input.ToStringUtf8(), sent.Env["A"], sent.TimeoutSeconds));
        Assert.True(Guid.TryParse(sent.InstanceId, out _));
    }

    [Fact]
    public async Task Start_reads_its_input_from_a_file()
    {
        Answer(new RpcResponse { StartInstance = new StartInstanceResponse { Success = true, InstanceId = "i-9" } });
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, """
            {
                "a": "b c"
            }
            """);

        var exit = await RunAsync("start", "--image", "m", "--tenant", "t", "--input", $"@{file}");

        Assert.Equal(ExitCode.Ok, exit);
        Assert.Equal(await File.ReadAllTextAsync(file), Sent().StartInstance.Input.ToStringUtf8());
        File.Delete(file);
    }

    [Fact]
    public async Task Start_with_an_input_larger_than_a_frame_exits_with_2_and_one_line()
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, $"\"{new string('x', 65 << 20)}\"");

        var exit = await RunAsync("start", "--image", "m", "--tenant", "t", "--input", $"@{file}");

        File.Delete(file);
        Assert.Equal(ExitCode.Usage, exit);
        var line = Assert.Single(_error.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("a request may take 67108864", line);
        Assert.Empty(_server.Requests);
    }

    [Fact]
    public async Task Start_refuses_an_input_that_is_no_json_before_it_asks_the_server()
    {
        var exit = await RunAsync("start", "--image", "m", "--tenant", "t", "--input", "{");
        Assert.Equal(ExitCode.Usage, exit);
        Assert.Contains("Invalid input JSON", _error.ToString());
        Assert.Empty(_server.Requests);
    }

    [Fact]
    public async Task List_filters_by_status()
    {
        var list = new ListInstancesResponse { TotalCount = 1 };
        list.Instances.Add(new InstanceSummary { InstanceId = "i-1", Status = InstanceStatus.StatusFailed });
        Answer(new RpcResponse { ListInstances = list });

        Assert.Equal(ExitCode.Ok, await RunAsync("list", "--status", "failed"));

        Assert.Equal(InstanceStatus.StatusFailed, Sent().ListInstances.Status);
        Assert.Contains("i-1", _output.ToString());
    }

    [Fact]
    public async Task What_a_workflow_wrote_does_not_steer_the_terminal_and_is_exact_as_json()
    {
        const string Error = "\u001b[2Jboom\r\n\tat \u009b31mline\u007f 2";
        var answer = Status(InstanceStatus.StatusFailed);
        (answer.GetInstanceStatus.Error, answer.GetInstanceStatus.Stderr) = (Error, "over\rwritten\a");
        Answer(answer);
        await RunAsync("status", "i");
        await RunAsync("wait", "i");

        Assert.DoesNotContain(_output.ToString(), c => char.IsControl(c) && c is not ('\n' or '\t'));
        foreach (var shown in new[] { "\u241b[2Jboom", "at \ufffd31mline\u2421 2", "written\u2407" })
            Assert.Contains(shown, _output.ToString());

        _output.GetStringBuilder().Clear();
        await RunAsync("status", "i", "--json");
        Assert.Equal(Error, Json().GetProperty("error").GetString());
    }

    [Fact]
    public async Task Neither_a_table_nor_an_error_steers_the_terminal()
    {
        var images = new ListImagesResponse { TotalCount = 1 };
        images.Images.Add(new ImageSummary { ImageId = "img-1", Description = "\u001b]0;title\a" });
        Answer(new RpcResponse { ListImages = images });
        await RunAsync("images");
        Answer(new RpcResponse { Error = new() { Code = "LIST_IMAGES_ERROR", Message = "no \u001b[2Jroom" } });
        await RunAsync("images");

        Assert.Contains("\u241b]0;title\u2407", _output.ToString());
        Assert.Contains("no \u241b[2Jroom", _error.ToString());
        Assert.DoesNotContain('\u001b', _output.ToString() + _error);
    }

    [Theory]
    [InlineData("stop")]
    [InlineData("cancel")]
    [InlineData("pause")]
    [InlineData("resume")]
    public async Task What_is_missing_is_refused_with_advice(string command)
    {
        const string Missing = "Instance 'i' not found";
        Answer(command switch
        {
            "stop" => new RpcResponse { StopInstance = new StopInstanceResponse { Error = Missing } },
            "resume" => new RpcResponse { ResumeInstance = new ResumeInstanceResponse { Error = Missing } },
            _ => new RpcResponse { SendSignal = new SendSignalResponse { Error = Missing } },
        });
        Assert.Equal(ExitCode.Refused, await RunAsync(command, "i"));
        Assert.Contains(Missing, _error.ToString());
        Assert.Contains("List the instances", _error.ToString());
    }

    [Fact]
    public async Task A_failure_as_json_goes_to_standard_error()
    {
        Answer(new RpcResponse { GetInstanceStatus = new GetInstanceStatusResponse() });
        Assert.Equal(ExitCode.Refused, await RunAsync("status", "x", "--json"));
        var failure = JsonDocument.Parse(_error.ToString()).RootElement;
        Assert.Equal("INSTANCE_NOT_FOUND", failure.GetProperty("code").GetString());
        Assert.Empty(_output.ToString());
    }

    [Fact]
    public async Task Without_a_word_on_certificates_it_is_a_usage_error()
    {
        _variables.Remove("RUNTARA_SERVER_CERT");
        Assert.Equal(ExitCode.Usage, await RunAsync("health"));
        Assert.Contains("--insecure", _error.ToString());
        Answer(new RpcResponse { HealthCheck = new HealthCheckResponse { Healthy = true } });
        Assert.Equal(ExitCode.Ok, await RunAsync("health", "--insecure"));
    }

    [Theory]
    [InlineData("strat")]
    [InlineData("status")]
    [InlineData("start", "--image", "m")]
    [InlineData("list", "--status", "gone")]
    public async Task A_wrong_command_line_exits_with_2(params string[] args) =>
        Assert.Equal(ExitCode.Usage, await RunAsync("", args));

    [Fact]
    public async Task The_suggest_directive_completes_commands()
    {
        Assert.Equal(ExitCode.Ok, await RunAsync("[suggest:2]", "st"));
        Assert.Contains("start", _output.ToString());
        Assert.Contains("status", _output.ToString());
    }

    [Theory]
    [InlineData("bash")]
    [InlineData("zsh")]
    public async Task Completion_scripts_are_printed_without_a_server(string shell)
    {
        _variables.Clear();
        Assert.Equal(ExitCode.Ok, await RunAsync("completion", shell));
        Assert.Contains("[suggest:", _output.ToString());
    }

    private void Answer(RpcResponse response) => _server.Answer = _ => response;

    private RpcRequest Sent() => _server.Requests.Single();

    private JsonElement Json() => JsonDocument.Parse(_output.ToString()).RootElement;

    private static IEnumerable<string> Names(JsonElement json) => json.EnumerateObject().Select(p => p.Name);

    private Task<int> RunAsync(params string[] args) => args[0].StartsWith('{')
        ? RunAsync(args[0], args[1..])
        : RunAsync("", args);

    private Task<int> RunAsync(string input, string[] args) => new Cli(new CliEnvironment(
        new StringReader(input), _output, _error, IsInteractive: false, _variables.GetValueOrDefault)).RunAsync(args);

    private static RpcResponse Status(InstanceStatus status) => new()
    {
        GetInstanceStatus = new GetInstanceStatusResponse
        {
            Found = true,
            InstanceId = "i",
            Status = status,
            CreatedAtMs = 1_000_000_000_000,
            Output = ByteString.CopyFromUtf8("""{"a":"ü"}"""),
        },
    };
}
