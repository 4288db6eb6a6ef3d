namespace Runtara.Actors.Instances;

/// <summary>The name of a workflow instance: 1 to 255 characters of <c>A-Z a-z 0-9 . _ : -</c>.</summary>
public readonly record struct InstanceId(string Value)
{
    /// <inheritdoc />
    public override string ToString() => Value;
}

/// <summary>The name of a tenant; the same rule as <see cref="InstanceId"/>.</summary>
public readonly record struct TenantId(string Value)
{
    /// <inheritdoc />
    public override string ToString() => Value;
}

/// <summary>
/// The number of one launch of an instance's container, from 1. It is the fence: timers, runner reports and requests
/// that carry an older number change nothing (semantics, promise 3).
/// </summary>
public readonly record struct Attempt(int Number) : IComparable<Attempt>
{
    /// <summary>The number of an instance that was never launched.</summary>
    public static readonly Attempt None = new(0);

    /// <summary>The launch after this one.</summary>
    public Attempt Next() => new(Number + 1);

    /// <inheritdoc />
    public int CompareTo(Attempt other) => Number.CompareTo(other.Number);

    /// <inheritdoc />
    public override string ToString() => Number.ToString(System.Globalization.CultureInfo.InvariantCulture);
}

/// <summary>The rule for ids that callers choose (semantics, row "Ids").</summary>
public static class IdentifierRule
{
    /// <summary>The longest id, in characters.</summary>
    public const int LengthMax = 255;

    /// <summary>Says what is wrong with an id, naming the field and the rule; null when nothing is.</summary>
    public static string? Check(string field, string value) => Check(field, value, "");

    /// <summary>
    /// As <see cref="Check(string,string)"/> for image names, which may also have <c>/ @ +</c> and space.
    /// </summary>
    public static string? CheckImageName(string field, string value) => Check(field, value, "/@+ ");

    private static string? Check(string field, string value, string alsoAllowed)
    {
        if (value.Length == 0)
            return $"{field} is required";
        if (value.Length > LengthMax)
            return $"{field} must have at most {LengthMax} characters, not {value.Length}";
        if (value is "." or "..")
            return $"{field} must not be '{value}'";
        foreach (var c in value)
        {
            if (!char.IsAsciiLetterOrDigit(c) && !"._:-".Contains(c) && !alsoAllowed.Contains(c))
                return $"{field} may have only A-Z a-z 0-9 . _ : -{Spell(alsoAllowed)}, not '{c}'";
        }
        return null;
    }

    private static string Spell(string alsoAllowed) => alsoAllowed.Length == 0 ? "" : " / @ + and space";
}
