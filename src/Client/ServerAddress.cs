using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Runtara.Client;

/// <summary>A host, by name or by number, and a port.</summary>
internal sealed record ServerAddress(string Host, int Port)
{
    internal static ServerAddress Parse(string text)
    {
        var colon = text.LastIndexOf(':');
        var bracket = text.LastIndexOf(']');
        var hasPort = colon > bracket && (bracket >= 0 || text.IndexOf(':') == colon);
        var host = (hasPort ? text[..colon] : text).Trim('[', ']');
        var port = RuntaraClientOptions.DefaultPort;
        var portIsGood = !hasPort || (int.TryParse(
            text[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and < 65536);
        return host.Length > 0 && portIsGood ? new ServerAddress(host, port) : throw new RuntaraConfigurationException(
            $"'{text}' is not a server address.",
            "Give host:port, for example 127.0.0.1:8002, [::1]:8002 or runtara.example.org:8002.");
    }

    /// <summary>IPv4 first: the reference, and a daemon by default, listen there only.</summary>
    /// <exception cref="RuntaraConnectionException">The name does not resolve.</exception>
    internal async Task<IReadOnlyList<IPEndPoint>> ResolveAsync(CancellationToken ct)
    {
        try
        {
            var addresses = await Dns.GetHostAddressesAsync(Host, ct);
            return [.. addresses
                .OrderBy(a => a.AddressFamily == AddressFamily.InterNetwork ? 0 : 1)
                .Select(a => new IPEndPoint(a, Port))];
        }
        catch (SocketException unknown)
        {
            throw new RuntaraConnectionException(
                $"The host '{Host}' cannot be resolved: {unknown.Message}",
                "Check the server's name in --server or RUNTARA_ENVIRONMENT_ADDR.",
                unknown);
        }
    }
}
