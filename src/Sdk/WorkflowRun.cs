using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Google.Protobuf;
using Runtara.Protocol;
using Runtara.Protocol.Instances;

namespace Runtara.Sdk;

/// <summary>One attempt: register, run, report.</summary>
internal sealed class WorkflowRun<TInput, TOutput> : IDisposable
{
    private readonly Func<WorkflowContext, TInput, Task<TOutput>> _body;
    private readonly JsonTypeInfo<TInput> _input;
    private readonly JsonTypeInfo<TOutput> _output;
    private readonly WorkflowOptions _options;
    private readonly DaemonClient _client;
    private readonly InstanceCalls _calls;
    private readonly Signals _signals = new();
    private readonly WorkflowContext _context;
    private readonly TaskCompletionSource _terminated = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal WorkflowRun(
        Func<WorkflowContext, TInput, Task<TOutput>> body,
        JsonTypeInfo<TInput> input,
        JsonTypeInfo<TOutput> output,
        WorkflowOptions options)
    {
        (_body, _input, _output, _options) = (body, input, output, options);
        _client = new DaemonClient(options);
        _calls = new InstanceCalls(_client, options);
        _context = new WorkflowContext(_calls, options, _signals);
    }

    internal async Task<int> RunAsync()
    {
        try
        {
            var registered = await _calls.RegisterAsync(CancellationToken.None);
            if (!registered.Success)
                return Say($"Not registered: {registered.Error}", WorkflowExitCode.NotRegistered);
        }
        catch (WorkflowException refused)
        {
            return Say($"Not registered: {refused.Code}: {refused.Message}", WorkflowExitCode.NotRegistered);
        }
        catch (DaemonLostException lost)
        {
            return Say(lost.Message, WorkflowExitCode.DaemonLost);
        }

        using var heartbeat = new Heartbeat(_options, _context, _signals);
        using var termination = _options.HandleTermination ? OnSigterm() : null;
        var work = Task.Run(RunBodyAndReportAsync);
        return await Task.WhenAny(work, _terminated.Task) == work
            ? await work
            : Say("Terminated; no cancel is pending.", WorkflowExitCode.Terminated);
    }

    private async Task<int> RunBodyAndReportAsync()
    {
        try
        {
            var ending = await RunBodyAsync();
            try
            {
                return await ReportAsync(ending);
            }
            catch (WorkflowException refused) when (ending is Ending.Completed && IsOfOutput(refused))
            {
                return await ReportAsync(new Ending.Failed($"The output was not accepted: {refused.Message}"));
            }
        }
        catch (WorkflowException refused)
        {
            return Say($"The result was not accepted: {refused.Code}: {refused.Message}", WorkflowExitCode.Failed);
        }
        catch (IOException lost)
        {
            return Say(lost.Message, WorkflowExitCode.DaemonLost);
        }
    }

    /// <summary>Not a refusal because of the instance's state, which no other result would change.</summary>
    private static bool IsOfOutput(WorkflowException refused) =>
        refused.Code is WorkflowException.TooLarge or ErrorCodes.InstanceEvent;

    private async Task<Ending> RunBodyAsync()
    {
        try
        {
            var output = await _body(_context, await ReadInputAsync());
            return new Ending.Completed(JsonSerializer.SerializeToUtf8Bytes(output, _output));
        }
        catch (DaemonLostException)
        {
            throw;
        }
        catch (OperationCanceledException) when (_signals.Cancelled.IsCancellationRequested)
        {
            return new Ending.Cancelled();
        }
        catch (WorkflowPausedException)
        {
            return new Ending.Paused();
        }
        catch (Exception failure)
        {
            await _options.Log.WriteLineAsync(failure.ToString());
            return new Ending.Failed(failure.Message.Length > 0 ? failure.Message : failure.GetType().Name);
        }
    }

    private async Task<int> ReportAsync(Ending ending)
    {
        switch (ending)
        {
            case Ending.Completed completed:
                await TellAsync(InstanceEventType.EventCompleted, ByteString.CopyFrom(completed.Output));
                return WorkflowExitCode.Reported;
            case Ending.Failed failed:
                await _calls.FailedAsync(failed.Error, CancellationToken.None);
                return WorkflowExitCode.Failed;
            case Ending.Cancelled:
                await _calls.AcknowledgeAsync(SignalType.SignalCancel, CancellationToken.None);
                return WorkflowExitCode.Reported;
            default:
                await SuspendAsync();
                return WorkflowExitCode.Reported;
        }
    }

    /// <summary>The event comes first: were the acknowledgement first, a crash between would lose the pause.</summary>
    private async Task SuspendAsync()
    {
        await TellAsync(InstanceEventType.EventSuspended, ByteString.Empty);
        try
        {
            await _calls.AcknowledgeAsync(SignalType.SignalPause, CancellationToken.None);
        }
        catch (WorkflowException refused)
        {
            await _options.Log.WriteLineAsync($"The pause was not acknowledged: {refused.Message}");
        }
    }

    private Task TellAsync(InstanceEventType type, ByteString payload) =>
        _calls.EventAsync(type, null, payload, CancellationToken.None);

    private async Task<TInput> ReadInputAsync()
    {
        try
        {
            return JsonSerializer.Deserialize(await File.ReadAllBytesAsync(_options.InputPath), _input)!;
        }
        catch (Exception unusable) when (unusable is IOException or JsonException or UnauthorizedAccessException)
        {
            var why = $"The input in {_options.InputPath} is not a {typeof(TInput).Name}: {unusable.Message}";
            throw new WorkflowException(WorkflowException.NotDecodable, why, unusable);
        }
    }

    private PosixSignalRegistration OnSigterm() => PosixSignalRegistration.Create(PosixSignal.SIGTERM, received =>
    {
        received.Cancel = true;
        _ = Task.Run(TerminateAsync);
    });

    /// <summary>SIGTERM comes with a stop, whose cancel signal is pending, or with a hibernation, and then none is.
    /// </summary>
    internal async Task TerminateAsync()
    {
        try
        {
            _signals.Note((await _calls.PollSignalsAsync(null, CancellationToken.None)).Signal);
            if (!_signals.Cancelled.IsCancellationRequested)
                _terminated.TrySetResult();
        }
        catch (Exception unknown) when (unknown is IOException or WorkflowException)
        {
            _terminated.TrySetResult();
        }
    }

    private int Say(string message, int exitCode)
    {
        _options.Log.WriteLine(message);
        return exitCode;
    }

    public void Dispose()
    {
        _context.End();
        _client.Dispose();
        _signals.Dispose();
    }

    private abstract record Ending
    {
        internal sealed record Completed(byte[] Output) : Ending;

        internal sealed record Failed(string Error) : Ending;

        internal sealed record Cancelled : Ending;

        internal sealed record Paused : Ending;
    }
}
