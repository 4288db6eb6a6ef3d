namespace Runtara.EndToEnd.Tests.Hostile;

/// <summary>Many malformed inputs against one edge, from several attackers at once, every kind equally often.</summary>
internal sealed class Storm(
    int seed, Func<IAttacker> newAttacker, IReadOnlyList<byte[]> validFrames, DatagramAttacker? datagrams = null)
{
    private const int Attackers = 6, DatagramKinds = 2;

    private readonly int _kinds = Malformer.Kinds + (datagrams is null ? 0 : DatagramKinds);
    private int _rounds;

    public async Task RunAsync(int inputs)
    {
        var round = Interlocked.Increment(ref _rounds);
        await Task.WhenAll(Enumerable.Range(0, Attackers).Select(
            lane => Task.Run(() => AttackAsync(new Random(HashCode(round, lane)), lane, inputs))));
    }

    // Not System.HashCode: that one is different in each process, and a seed must say everything.
    private int HashCode(int round, int lane) => unchecked(((seed * 31) + round) * 31 + lane);

    private async Task AttackAsync(Random random, int lane, int inputs)
    {
        await using var attacker = newAttacker();
        var malformer = new Malformer(random, validFrames);
        var kind = lane;
        for (var i = lane; i < inputs; i += Attackers)
        {
            kind = (kind + 1) % _kinds;
            if (kind < Malformer.Kinds)
                await attacker.SendAsync(malformer.Next(kind));
            else if (kind == Malformer.Kinds)
                await datagrams!.SendNoiseAsync(random);
            else
                await datagrams!.SendSpoiltAsync(random);
        }
    }
}
