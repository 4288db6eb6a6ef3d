using Runtara.Actors.Instances;
using Runtara.Runner.Slots;

namespace Runtara.Runner.Tests.Slots;

public sealed class SlotQueueTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TenantId A = new("a");
    private static readonly TenantId B = new("b");
    private readonly SlotQueue _slots = new(2, TimeSpan.FromSeconds(60));
    private SlotKey _last = Key("f1");

    [Fact]
    public void Slots_are_granted_up_to_the_capacity()
    {
        Assert.Equal([Key("1")], _slots.Request(Key("1"), A, Start));
        Assert.Equal([Key("2")], _slots.Request(Key("2"), A, Start));
        Assert.Empty(_slots.Request(Key("3"), A, Start));
    }

    [Fact]
    public void Tenants_take_turns_however_much_one_asks_for()
    {
        Fill();
        foreach (var name in new[] { "a1", "a2", "a3" })
            _slots.Request(Key(name), A, Start);
        foreach (var name in new[] { "b1", "b2" })
            _slots.Request(Key(name), B, Start);

        var order = Enumerable.Range(0, 5).Select(_ => TakeNext()).ToList();

        Assert.Equal([Key("a1"), Key("b1"), Key("a2"), Key("b2"), Key("a3")], order);
    }

    [Fact]
    public void Asking_again_changes_nothing_but_repeats_a_grant()
    {
        Assert.Equal([Key("1")], _slots.Request(Key("1"), A, Start));
        Assert.Equal([Key("1")], _slots.Request(Key("1"), A, Start));
        Assert.Equal(1, _slots.Used);
        Assert.True(_slots.Take(Key("1")));
        Assert.Empty(_slots.Request(Key("1"), A, Start));
        Assert.False(_slots.Take(Key("1")));
    }

    [Fact]
    public void A_grant_that_is_not_taken_in_time_goes_to_the_next()
    {
        _slots.Request(Key("1"), A, Start);
        _slots.Request(Key("2"), A, Start);
        _slots.Take(Key("2"));
        _slots.Request(Key("3"), A, Start);

        Assert.Empty(_slots.Expire(Start.AddSeconds(59)));
        Assert.Equal([Key("3")], _slots.Expire(Start.AddSeconds(60)));
        Assert.False(_slots.Take(Key("1")));
    }

    [Fact]
    public void A_released_request_is_not_granted()
    {
        Fill();
        _slots.Request(Key("1"), A, Start);
        _slots.Request(Key("2"), A, Start);
        _slots.Release(Key("1"), Start);

        Assert.Equal(Key("2"), TakeNext());
    }

    [Fact]
    public void A_newer_attempt_replaces_one_that_waits()
    {
        Fill();
        _slots.Request(Key("1"), A, Start);
        _slots.Request(Key("1", 2), A, Start);

        Assert.Equal(Key("1", 2), TakeNext());
        Assert.Empty(_slots.Free(Key("f2"), Start));
    }

    [Fact]
    public void A_newer_attempt_voids_a_grant_of_an_older_one()
    {
        _slots.Request(Key("1"), A, Start);

        Assert.Equal([Key("1", 2)], _slots.Request(Key("1", 2), A, Start));
        Assert.False(_slots.Take(Key("1")));
        Assert.Equal(1, _slots.Used);
    }

    [Fact]
    public void While_it_is_held_nothing_is_granted_and_what_waits_keeps_its_turn()
    {
        _slots.IsHeld = true;
        foreach (var name in new[] { "a1", "a2", "a3" })
            Assert.Empty(_slots.Request(Key(name), A, Start));
        Assert.Empty(_slots.Request(Key("b1"), B, Start));
        Assert.Empty(_slots.Expire(Start));
        Assert.Empty(_slots.Release(Key("a3"), Start));
        Assert.Equal((3, 0), (_slots.Waiting, _slots.Used));

        _slots.IsHeld = false;

        Assert.Equal([Key("a1"), Key("b1")], _slots.Expire(Start));
        Assert.True(_slots.Take(Key("a1")));
        Assert.Equal([Key("a2")], _slots.Free(Key("a1"), Start));
    }

    [Fact]
    public void What_was_granted_before_it_was_held_may_be_taken_and_what_is_freed_meanwhile_stays_free()
    {
        _slots.Request(Key("1"), A, Start);
        _slots.Request(Key("2"), A, Start);
        _slots.Request(Key("3"), A, Start);
        _slots.IsHeld = true;

        Assert.True(_slots.Take(Key("1")));
        Assert.Empty(_slots.Free(Key("1"), Start));
        Assert.Empty(_slots.Expire(Start.AddSeconds(60)));
        Assert.False(_slots.Take(Key("2")));

        _slots.IsHeld = false;
        Assert.Equal([Key("3")], _slots.Expire(Start.AddSeconds(61)));
    }

    private static SlotKey Key(string instance, int attempt = 1) => new(new InstanceId(instance), new Attempt(attempt));

    private void Fill()
    {
        foreach (var name in new[] { "f1", "f2" })
        {
            _slots.Request(Key(name), A, Start);
            _slots.Take(Key(name));
        }
    }

    // Frees one of the two slots, and takes what is granted, to be freed next.
    private SlotKey TakeNext()
    {
        var granted = Assert.Single(_slots.Free(_last, Start));
        _slots.Take(granted);
        return _last = granted;
    }
}
