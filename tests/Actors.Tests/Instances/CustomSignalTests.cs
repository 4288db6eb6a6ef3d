using Runtara.Actors.Instances;
using Runtara.Actors.Runners;
using static Runtara.Actors.Tests.Instances.Machine;

namespace Runtara.Actors.Tests.Instances;

/// <summary>Semantics, row "Custom signals".</summary>
public sealed class CustomSignalTests
{
    private readonly Machine _m = new();

    private InstanceReply? SendCustom(string key, Guid? request = null) =>
        _m.Ask(new InstanceCommand.SendCustomSignal(Id, key, new byte[] { 1 }, request ?? Guid.NewGuid()));

    private InstanceReply.Signals Poll(string? key = null) =>
        Assert.IsType<InstanceReply.Signals>(_m.Ask(new InstanceCommand.PollSignals(Id, key, _m.Attempt)));

    private static void IsAccepted(InstanceReply? reply) => Assert.IsType<InstanceReply.Accepted>(reply);

    private static void IsRefused(InstanceReply? reply, string text) =>
        Assert.Equal(text, Assert.IsType<InstanceReply.Refused>(reply).Text);

    [Fact]
    public void Custom_signals_queue_and_the_oldest_is_given_until_progress_consumes_it()
    {
        _m.Running();
        SendCustom("k");
        SendCustom("k");
        Assert.Equal(1, Poll("k").CustomSignal);
        Assert.Equal(1, Poll("k").CustomSignal);
        _m.Ask(new InstanceCommand.Heartbeat(Id, _m.Attempt));
        Assert.Equal(1, Poll("k").CustomSignal);
        _m.Save("step");
        Assert.Contains(_m.Last.Events, e => e is InstanceEvent.CustomSignalsConsumed { Numbers: [1] });
        Assert.Equal(2, Poll("k").CustomSignal);
        _m.Ask(new InstanceCommand.ReportCustom(Id, "s", null, default, null, _m.Attempt));
        Assert.Null(Poll("k").CustomSignal);
    }

    [Fact]
    public void A_checkpoint_that_was_there_before_consumes_nothing()
    {
        _m.Running();
        _m.Save("step");
        SendCustom("k");
        Assert.Equal(1, Poll("k").CustomSignal);
        _m.Save("step");
        Assert.Equal(1, Poll("k").CustomSignal);
    }

    [Fact]
    public void A_checkpoint_carries_the_signal_of_its_key()
    {
        _m.Running();
        SendCustom("k");
        SendCustom("k");
        Assert.Equal(1, Assert.IsType<InstanceReply.CheckpointStored>(_m.Save("k")).CustomSignal);
        Assert.Equal(1, Assert.IsType<InstanceReply.CheckpointFound>(_m.Save("k")).CustomSignal);
        Assert.Null(Assert.IsType<InstanceReply.CheckpointStored>(_m.Save("other")).CustomSignal);
        Assert.Equal(2, Assert.IsType<InstanceReply.CheckpointFound>(_m.Save("k")).CustomSignal);
    }

    [Fact]
    public void A_signal_that_was_polled_is_given_again_by_the_checkpoint_that_consumes_it()
    {
        _m.Running();
        SendCustom("k");
        SendCustom("k");
        Assert.Equal(1, Poll("k").CustomSignal);
        Assert.Equal(1, Assert.IsType<InstanceReply.CheckpointStored>(_m.Save("k")).CustomSignal);
        Assert.Equal(2, Poll("k").CustomSignal);
    }

    [Fact]
    public void A_relaunch_before_any_progress_is_given_the_signal_again_and_its_progress_alone_consumes_it()
    {
        _m.Running();
        SendCustom("k");
        Assert.Equal(1, Poll("k").CustomSignal);
        _m.Exit(code: 1);
        _m.Running();
        _m.Save("before it was asked for");
        Assert.Equal(1, Poll("k").CustomSignal);
    }

    [Fact]
    public void What_was_given_is_consumed_also_by_a_later_life_of_the_actor()
    {
        _m.Running();
        SendCustom("k");
        Poll("k");
        _m.Recover();
        _m.Save("step");
        Assert.Null(Poll("k").CustomSignal);
    }

    [Fact]
    public void Keys_do_not_share_their_signals()
    {
        _m.Running();
        SendCustom("a");
        SendCustom("b");
        Assert.Equal(2, Poll("b").CustomSignal);
        Assert.Equal(1, Poll("a").CustomSignal);
        Assert.Null(Poll("c").CustomSignal);
        Assert.Null(Poll().CustomSignal);
    }

    [Fact]
    public void A_request_that_is_sent_again_is_not_stored_twice()
    {
        _m.Running();
        var request = Guid.NewGuid();
        IsAccepted(SendCustom("k", request));
        IsAccepted(SendCustom("k", request));
        Assert.Empty(_m.Last.Events);
        var custom = new InstanceCommand.ReportCustom(Id, "s", null, default, null, _m.Attempt) { Request = request };
        IsAccepted(_m.Ask(custom with { Request = Guid.NewGuid() }));
        Assert.NotEmpty(_m.Last.Events);
        IsAccepted(_m.Ask(custom));
        Assert.Empty(_m.Last.Events);
    }

    [Fact]
    public void Three_hundred_requests_and_then_all_of_them_again_are_stored_once()
    {
        _m.Running();
        var requests = Enumerable.Range(0, 300).Select(_ => Guid.NewGuid()).ToList();
        foreach (var request in requests)
            SendCustom("k", request);
        var events = _m.Journal.Count;
        foreach (var request in requests)
            IsAccepted(SendCustom("k", request));
        Assert.Equal(events, _m.Journal.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_pause_consumes_nothing_and_the_attempt_after_it_is_given_the_signal_again(bool reported)
    {
        _m.Running();
        SendCustom("k");
        Assert.Equal(1, Poll("k").CustomSignal);
        if (reported)
            IsAccepted(_m.Ask(new InstanceCommand.ReportSuspended(Id, _m.Attempt)));
        _m.Exit(code: 0, output: new RunOutput(RunOutputStatus.Suspended, default, null, null, null));
        IsAccepted(_m.Ask(new InstanceCommand.ResumeInstance(Id)));
        _m.Running();
        Assert.Equal(1, Poll("k").CustomSignal);
    }

    [Fact]
    public void The_record_of_a_retry_consumes_nothing()
    {
        _m.Running();
        SendCustom("k");
        Assert.Equal(1, Poll("k").CustomSignal);
        _m.Do(new InstanceCommand.RecordRetry(Id, "step", 2, "again", _m.Attempt));
        Assert.IsType<InstanceEvent.RetryRecorded>(Assert.Single(_m.Last.Events));
        Assert.Equal(1, Poll("k").CustomSignal);
    }

    [Fact]
    public void The_number_of_waiting_signals_is_limited_and_a_key_is_required()
    {
        var machine = new Machine(new InstanceSettings { CustomSignalsMax = 1 }).Started();
        machine.Do(new InstanceCommand.SendCustomSignal(Id, "k", default, Guid.NewGuid()));
        var refused = machine.Ask(new InstanceCommand.SendCustomSignal(Id, "k", default, Guid.NewGuid()));
        Assert.Contains("instances.custom-signals-max", Assert.IsType<InstanceReply.Refused>(refused).Text);
        IsAccepted(machine.Ask(new InstanceCommand.SendCustomSignal(Id, "other", default, Guid.NewGuid())));
        IsRefused(
            machine.Ask(new InstanceCommand.SendCustomSignal(Id, "", default, Guid.NewGuid())),
            "checkpoint_id is required");
    }

    [Fact]
    public void The_number_of_waiting_signals_under_all_keys_is_limited()
    {
        var machine = new Machine(new InstanceSettings { CustomSignalsTotalMax = 2 }).Running();
        InstanceReply? Send(string key) =>
            machine.Ask(new InstanceCommand.SendCustomSignal(Id, key, default, Guid.NewGuid()));
        IsAccepted(Send("a"));
        IsAccepted(Send("b"));
        Assert.Contains(
            "instances.custom-signals-total-max", Assert.IsType<InstanceReply.Refused>(Send("c")).Text);
        machine.Do(new InstanceCommand.PollSignals(Id, "a", machine.Attempt));
        machine.Save("step");
        IsAccepted(Send("c"));
        Assert.IsType<InstanceReply.Refused>(Send("d"));
    }

    [Fact]
    public void An_attempt_that_is_over_is_given_no_signals()
    {
        _m.Running();
        var first = _m.Attempt;
        _m.Exit(code: 1);
        _m.Running();
        SendCustom("k");
        var reply = _m.Ask(new InstanceCommand.PollSignals(Id, "k", first));
        Assert.Equal(new InstanceReply.Signals(null, null), reply);
    }
}
