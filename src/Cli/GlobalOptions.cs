using System.CommandLine;
using Runtara.Client;

namespace Runtara.Cli;

/// <summary>Options of every command; they win over the environment.</summary>
internal sealed class GlobalOptions
{
    private readonly Option<string?> _server = new("--server", "-s")
    {
        Description = "Server as host:port; names are resolved.",
        Recursive = true,
    };

    private readonly Option<string?> _cert = new("--cert")
    {
        Description = "PEM file with the server's certificate, or 'system' for one from a public authority.",
        Recursive = true,
    };

    private readonly Option<bool> _insecure = new("--insecure")
    {
        Description = "Accept any certificate: anybody may answer.",
        Recursive = true,
    };

    internal Option<bool> Json { get; } = new("--json")
    {
        Description = "JSON for programs instead of tables.",
        Recursive = true,
    };

    internal void AddTo(RootCommand root)
    {
        root.Add(_server);
        root.Add(_cert);
        root.Add(_insecure);
        root.Add(Json);
    }

    /// <exception cref="RuntaraConfigurationException">A variable does not parse.</exception>
    internal RuntaraClientOptions ToClientOptions(ParseResult parsed, CliEnvironment environment)
    {
        var options = RuntaraClientOptions.FromEnvironment(environment.Variable);
        if (parsed.GetValue(_server) is { } server)
            options = options with { Server = server };
        if (parsed.GetValue(_cert) is { } cert)
        {
            var isSystem = cert == "system";
            options = options with { PinnedCertificate = isSystem ? null : cert, TrustSystemRoots = isSystem };
        }

        if (parsed.GetValue(_insecure))
            options = options with { SkipCertificateVerification = true, PinnedCertificate = null };
        return options;
    }
}
