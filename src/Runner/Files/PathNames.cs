using System.Security.Cryptography;
using System.Text;

namespace Runtara.Runner.Files;

/// <summary>
/// File names for ids. An id of the allowed alphabet is its own name; anything else is escaped, so that no id, checked
/// or not, names a path outside its directory and no two ids share one.
/// </summary>
internal static class PathNames
{
    private const int LengthMax = 255;

    // What the runner itself keeps in the data directory, beside the tenants. What begins with a dot needs no mention:
    // no tenant's name does.
    private static readonly string[] Reserved = ["crun", "images", "launches"];

    /// <summary>
    /// The tenant's directory in the data directory; <paramref name="kept"/> is what others than the runner have there.
    /// </summary>
    internal static string OfTenant(string id, IReadOnlyCollection<string> kept)
    {
        var name = Escape(id);
        return Reserved.Contains(name) || kept.Contains(name) ? $"%{(int)name[0]:X2}{name[1..]}" : name;
    }

    internal static string OfInstance(string id) => Escape(id);

    /// <summary>The id that a name was made of; null when it does not tell.</summary>
    internal static string? InstanceOf(string name)
    {
        var id = Uri.UnescapeDataString(name);
        return OfInstance(id) == name ? id : null;
    }

    /// <summary>The container's id: the same for every attempt, so that crun itself refuses two at once.</summary>
    internal static string OfContainer(string instance) => "runtara-" + Sha256(instance)[..32];

    private static string Escape(string id)
    {
        var name = new StringBuilder(id.Length);
        foreach (var b in Encoding.UTF8.GetBytes(id))
        {
            var plain = char.IsAsciiLetterOrDigit((char)b) || b is (byte)'_' or (byte)':' or (byte)'-'
                || (b == '.' && name.Length > 0);
            _ = plain ? name.Append((char)b) : name.Append('%').Append(b.ToString("X2"));
        }
        // The tilde is escaped in every other name, so a shortened one never equals a whole one.
        return name.Length is > 0 and <= LengthMax ? name.ToString()
            : name.Length == 0 ? "~" : $"{name.ToString(0, 150)}~{Sha256(id)}";
    }

    private static string Sha256(string text) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
