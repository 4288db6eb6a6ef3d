using Runtara.Actors.Instances;

namespace Runtara.Actors.Tests.Instances;

public sealed class IdentifierRuleTests
{
    [Theory]
    [InlineData("a")]
    [InlineData("Order_1.2:x-y")]
    public void A_plain_id_is_fine(string id) => Assert.Null(IdentifierRule.Check("instance_id", id));

    [Theory]
    [InlineData("", "instance_id is required")]
    [InlineData("..", "instance_id must not be '..'")]
    [InlineData("a/b", "instance_id may have only A-Z a-z 0-9 . _ : -, not '/'")]
    [InlineData("ü", "instance_id may have only A-Z a-z 0-9 . _ : -, not 'ü'")]
    public void A_bad_id_is_refused_with_field_and_rule(string id, string error) =>
        Assert.Equal(error, IdentifierRule.Check("instance_id", id));

    [Fact]
    public void An_id_has_at_most_255_characters()
    {
        Assert.Null(IdentifierRule.Check("instance_id", new string('x', 255)));
        Assert.Contains("255", IdentifierRule.Check("instance_id", new string('x', 256)), StringComparison.Ordinal);
    }

    [Fact]
    public void An_image_name_may_look_like_a_reference() =>
        Assert.Null(IdentifierRule.CheckImageName("name", "registry/orders@v1+2 beta"));
}
