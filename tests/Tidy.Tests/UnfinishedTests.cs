using System.Text.RegularExpressions;

namespace Runtara.Tidy.Tests;

/// <summary>
/// What must not reach main. The words are put together here, so that this file does not contain them.
/// </summary>
public class UnfinishedTests
{
    private static readonly Regex Later = new($@"\b({"TO"}DO|{"FIX"}ME|{"HA"}CK|{"X"}XX)\b");
    private static readonly Regex Stub = new($"{"NotImplemented"}Exception");
    private static readonly Regex SkippedTest = new($@"\[(Fact|Theory)\([^)]*\b{"Sk"}ip\s*=");
    private static readonly Regex Machine = new(
        $@"(?<![\w.$}}])(/{"home"}/\w|/{"root"}/|/{"Users"}/|/{"work"}/)|[A-Z]:\\{"Users"}");

    [Fact]
    public void Nothing_is_left_for_later() =>
        None("Finish it or write an issue; a note in the code is found by nobody:", Repository.All, Later);

    [Fact]
    public void Nothing_is_a_stub() =>
        None("What is not there answers with a clear error, or does not exist:", Repository.CSharp, Stub);

    [Fact]
    public void No_test_is_skipped() =>
        None("A skipped test proves nothing. Make it run everywhere, or delete it:", Repository.CSharp, SkippedTest);

    [Fact]
    public void No_path_of_somebody_s_machine_is_in_the_repository() =>
        None("This works on one machine only. Derive the path, or make it a setting:", Repository.All, Machine);

    private static void None(string rule, IEnumerable<SourceFile> files, Regex unwanted) =>
        Repository.MustHold(
            rule,
            from file in files
            from line in file.Lines.Index()
            where unwanted.IsMatch(line.Item)
            select $"{file.At(line.Index)}: {line.Item.Trim()}");
}
