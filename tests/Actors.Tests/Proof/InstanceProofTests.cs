using CsCheck;

namespace Runtara.Actors.Tests.Proof;

/// <summary>
/// Promises 1 to 6 of the machine over generated lives. A life that breaks one is shrunk and printed; paste its text
/// into <see cref="A_life_that_was_once_wrong_is_right"/>.
/// </summary>
public sealed class InstanceProofTests
{
    private const int LivesMin = 20_000;

    [Fact]
    public void Every_promise_holds_in_every_life() => Step.Lives.Sample(
        life =>
        {
            Life.Live(life);
            return true;
        },
        iter: LivesMin, print: Step.Print);

    [Fact]
    public void A_life_reads_back_as_it_is_printed() => Step.Lives.Sample(
        life => Step.Parse(Step.Print(life)).SequenceEqual(life), iter: 100, print: Step.Print);

    [Theory]
    [InlineData("Register 0 Unknown; ExitWithOutput 3 Live; Pass 3 Live; Grant 0 Live")]
    [InlineData("Start 0 Live; Grant 0 Live; Register 0 Live; ExitWithOutput 0 Live; Vanish 0 Live")]
    [InlineData("Start 0 Live; Grant 0 Live; Register 0 Live; Suspend 0 Live; Resume 0 Live; Grant 0 Live")]
    [InlineData("Start 0 Live; Grant 0 Live; Register 0 Live; Suspend 0 Live; Resume 0 Live; Stop 0 Live")]
    [InlineData("Start 0 Live; Grant 0 Live; Register 0 Live; SendCustom 0 Live; Poll 0 Live; Exit 1 Live; "
        + "Grant 0 Live; Register 0 Live; Save 1 Live; Poll 0 Live")]
    [InlineData("Register 0 Unknown; Suspend 0 Live; Register 0 Stale")]
    [InlineData("Start 0 Live; Grant 0 Live; Register 0 Live; SendCustom 0 Live; Poll 0 Live; Recover 0 Live; "
        + "Save 1 Live; Poll 0 Live")]
    [InlineData("Start 0 Live; Grant 0 Live; Register 0 Live; SendCustom 0 Live; Poll 0 Live; Suspend 0 Live; "
        + "Resume 0 Live; Grant 0 Live; Register 0 Live; Poll 0 Live")]
    [InlineData("Start 0 Live; Grant 0 Live; Register 0 Live; Sleep 2 Live; Suspend 0 Live; Resume 0 Live; "
        + "Grant 0 Live; Register 0 Live; Sleep 2 Live")]
    public void A_life_that_was_once_wrong_is_right(string life) => Life.Live(Step.Parse(life));
}
