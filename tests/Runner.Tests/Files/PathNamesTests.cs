using Runtara.Runner.Files;

namespace Runtara.Runner.Tests.Files;

public sealed class PathNamesTests
{
    [Theory]
    [InlineData("order-17_a.b:c", "order-17_a.b:c")]
    [InlineData("..", "%2E.")]
    [InlineData("../x", "%2E.%2Fx")]
    [InlineData("%2E", "%252E")]
    [InlineData("", "~")]
    public void An_id_is_its_own_name_unless_that_could_lead_elsewhere(string id, string name)
    {
        Assert.Equal(name, PathNames.OfInstance(id));
    }

    [Theory]
    [InlineData("crun")]
    [InlineData("images")]
    [InlineData("launches")]
    [InlineData("state.db-journal")]
    public void A_tenant_never_gets_a_name_that_the_runner_or_another_keeps(string id)
    {
        var name = PathNames.OfTenant(id, ["state.db", "state.db-journal"]);

        Assert.StartsWith("%", name);
        Assert.Equal(id, Uri.UnescapeDataString(name));
    }

    [Theory]
    [InlineData("acme")]
    [InlineData("Crun")]
    [InlineData("state.db.old")]
    public void Any_other_tenant_has_its_own_name(string id) =>
        Assert.Equal(id, PathNames.OfTenant(id, ["state.db", "state.db-journal"]));

    [Fact]
    public void No_tenant_gets_a_name_that_begins_with_a_dot() =>
        Assert.Equal("%2Eroom", PathNames.OfTenant(".room", []));

    [Fact]
    public void No_name_is_longer_than_255_bytes_and_long_ids_keep_apart()
    {
        var (a, b) = (PathNames.OfInstance(new string('ä', 255)), PathNames.OfInstance(new string('ä', 254)));

        Assert.InRange(a.Length, 1, 255);
        Assert.NotEqual(a, b);
    }
}
