using System.Globalization;
using CsCheck;

namespace Runtara.Actors.Tests.Proof;

/// <summary>What can be done to an instance, by whom it can be done.</summary>
internal enum Act
{
    Start, StartOtherwise, Stop, Resume, Signal, SendCustom,
    Register, Save, LookUp, Sleep, Heartbeat, Complete, Fail, Suspend, Report, Retry, Poll, Acknowledge,
    Grant, LaunchFails, Exit, ExitWithOutput, Vanish,
    Pass, Wake, Ensure, Recover,
}

/// <summary>Who sends a workflow's request.</summary>
internal enum Sender
{
    Live, Unknown, Stale,
}

/// <summary>One step of a generated life. Its text can be pasted into a test: <c>Save 1 Live</c>.</summary>
internal readonly record struct Step(Act Act, int Number, Sender Sender)
{
    private static readonly Act[] Ends = [Act.Stop, Act.Complete, Act.Fail, Act.ExitWithOutput, Act.Acknowledge];

    // What makes a life go on is drawn more often, or most lives would never run.
    private static readonly Gen<Act> Acts = Gen.Frequency(
        (3, Gen.Const(Act.Start)), (6, Gen.Const(Act.Grant)), (6, Gen.Const(Act.Register)),
        (4, OneOf(Act.Save, Act.Poll, Act.SendCustom, Act.Pass)),
        (6, OneOf(Enum.GetValues<Act>())),
        (14, OneOf([.. Enum.GetValues<Act>().Except(Ends)])));

    internal static readonly Gen<Step[]> Lives = Gen.Select(
            Acts, Gen.Frequency((1, Gen.Const(0)), (2, Gen.Int[0, 3])), Gen.Frequency(
                (6, Gen.Const(Sender.Live)), (2, Gen.Const(Sender.Unknown)), (1, Gen.Const(Sender.Stale))),
            (act, number, sender) => new Step(act, number, sender))
        .Array[5, 60];

    private static Gen<Act> OneOf(params Act[] acts) => Gen.Int[0, acts.Length - 1].Select(n => acts[n]);

    public override string ToString() => $"{Act} {Number} {Sender}";

    internal static string Print(Step[] life) => string.Join("; ", life);

    internal static Step[] Parse(string life) =>
    [
        .. life.Split(';', StringSplitOptions.TrimEntries).Select(text => text.Split(' ')).Select(words => new Step(
            Enum.Parse<Act>(words[0]), int.Parse(words[1], CultureInfo.InvariantCulture),
            Enum.Parse<Sender>(words[2]))),
    ];
}
