using System.Collections;
using System.Collections.Immutable;
using System.Globalization;
using System.Reflection;

namespace Runtara.Actors.Tests.Proof;

/// <summary>
/// Everything that an object holds, as text: each field of each record, also the private ones and those that are added
/// one day. What has no order is sorted.
/// </summary>
internal static class Whole
{
    internal static string Of(object? value, bool times = true) => value switch
    {
        null => "none",
        string text => $"'{text}'",
        DateTimeOffset time => times ? time.ToString("O", CultureInfo.InvariantCulture) : "then",
        ReadOnlyMemory<byte> bytes => Convert.ToHexString(bytes.Span),
        IEnumerable many => Many(many, times),
        IFormattable one => one.ToString(null, CultureInfo.InvariantCulture),
        bool => $"{value}",
        _ => $"{value.GetType().Name}({string.Join(", ", Fields(value).Select(f => $"{f.Name}={f.Text(times)}"))})",
    };

    private static string Many(IEnumerable many, bool times)
    {
        var texts = many.Cast<object?>().Select(one => Of(one, times));
        return $"[{string.Join(", ", many is IDictionary or IImmutableSet<string> ? texts.Order() : texts)}]";
    }

    private static IEnumerable<(string Name, Func<bool, string> Text)> Fields(object value)
    {
        for (var type = value.GetType(); type is not null; type = type.BaseType)
        {
            foreach (var field in type.GetFields(
                BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
                yield return (field.Name, times => Of(field.GetValue(value), times));
        }
    }
}
