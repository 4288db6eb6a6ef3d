using System.Globalization;

namespace Runtara.Client;

/// <summary>Where the server is and how far to trust it.</summary>
public sealed record RuntaraClientOptions
{
    /// <summary>UDP port when the address names none.</summary>
    public const int DefaultPort = 8002;

    /// <summary><c>host:port</c>, <c>[v6]:port</c> or <c>host</c>; names are resolved. Default <c>127.0.0.1:8002</c>.
    /// <c>RUNTARA_ENVIRONMENT_ADDR</c>.</summary>
    public string Server { get; init; } = "127.0.0.1:8002";

    /// <summary>Name in the TLS handshake. <c>RUNTARA_SERVER_NAME</c>. Default: the host's name under
    /// <see cref="TrustSystemRoots"/>, else <c>localhost</c>.</summary>
    public string? ServerName { get; init; }

    /// <summary>PEM file with the only certificate that is accepted. <c>RUNTARA_SERVER_CERT</c>.</summary>
    public string? PinnedCertificate { get; init; }

    /// <summary>Accept a certificate from an authority that this machine trusts. <c>RUNTARA_SERVER_CERT=system</c>.
    /// </summary>
    public bool TrustSystemRoots { get; init; }

    /// <summary>Accept any certificate: encrypted, but anybody may answer. <c>RUNTARA_SKIP_CERT_VERIFICATION</c>,
    /// <c>true</c> or <c>1</c>.</summary>
    public bool SkipCertificateVerification { get; init; }

    /// <summary>Longest handshake. <c>RUNTARA_CONNECT_TIMEOUT_MS</c>; default 10 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Longest time for one request with its retries, or without progress in an upload.
    /// <c>RUNTARA_REQUEST_TIMEOUT_MS</c>; default 30 s.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a reply may take beyond <see cref="RequestTimeout"/>: a server gives up after 30 s too, and
    /// then says why. Default 5 s.</summary>
    public TimeSpan ReplyMargin { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest time from the last byte of an upload to its reply. Default 2 min.</summary>
    public TimeSpan UploadReplyTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Clock. Default the system's.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Reads the variables of environment-protocol §10.1 and <c>RUNTARA_SERVER_CERT</c>.</summary>
    /// <param name="variable">Looks a variable up; null for the environment of the process.</param>
    /// <exception cref="RuntaraConfigurationException">A time is not a number of milliseconds.</exception>
    public static RuntaraClientOptions FromEnvironment(Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        var defaults = new RuntaraClientOptions();
        var certificate = Given("RUNTARA_SERVER_CERT");
        return defaults with
        {
            Server = Given("RUNTARA_ENVIRONMENT_ADDR") ?? defaults.Server,
            ServerName = Given("RUNTARA_SERVER_NAME"),
            PinnedCertificate = certificate == "system" ? null : certificate,
            TrustSystemRoots = certificate == "system",
            SkipCertificateVerification = Given("RUNTARA_SKIP_CERT_VERIFICATION")?.ToLowerInvariant() is "true" or "1",
            ConnectTimeout = Milliseconds("RUNTARA_CONNECT_TIMEOUT_MS", defaults.ConnectTimeout),
            RequestTimeout = Milliseconds("RUNTARA_REQUEST_TIMEOUT_MS", defaults.RequestTimeout),
        };

        string? Given(string name) => variable(name) is { Length: > 0 } value ? value : null;

        TimeSpan Milliseconds(string name, TimeSpan otherwise) => Given(name) switch
        {
            null => otherwise,
            var text when uint.TryParse(text, CultureInfo.InvariantCulture, out var ms) && ms > 0 =>
                TimeSpan.FromMilliseconds(ms),
            var text => throw new RuntaraConfigurationException(
                $"{name} is '{text}'.", "Set it to a number of milliseconds above 0, or unset it."),
        };
    }
}
