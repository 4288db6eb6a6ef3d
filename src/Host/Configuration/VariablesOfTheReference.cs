using System.Collections;
using Akka.Configuration;

namespace Runtara.Daemon.Configuration;

/// <summary>The variables of Runtara 1.4.1 that are more, or less, than another name of a key.</summary>
internal static class VariablesOfTheReference
{
    private const string Database = "RUNTARA_DATABASE_URL";

    // What the reference's packages set, and its programs do not read.
    private const string PackagedDatabase = "RUNTARA_ENVIRONMENT_DATABASE_URL";

    private static readonly IReadOnlyDictionary<string, string> Meaningless = new Dictionary<string, string>
    {
        ["BUNDLES_DIR"] = "images are kept below DATA_DIR (runtara.data-directory)",
        ["EXECUTION_TIMEOUT_SECS"] =
            "a start says how long an attempt may run (timeout_seconds), or it is 300 s; for tests of capabilities "
            + "there is runtara.edge.capability-timeout-max",
        ["RUNTARA_DB_POOL_SIZE"] = "RUNTARA_DATABASE_URL says it, as ?maximum_pool_size=30",
        ["RUNTARA_QUIC_MAX_UNI_STREAMS"] = "no request comes on one; RUNTARA_QUIC_MAX_BI_STREAMS bounds the others",
        ["RUNTARA_QUIC_PORT"] = "RUNTARA_CORE_ADDR (runtara.instance.listen) says where workflows connect",
    };

    /// <summary>What a variable says; null when it is not set, or empty.</summary>
    public static string? Value(IDictionary variables, string name)
    {
        var value = variables[name] as string is { Length: > 0 } text ? text : null;
        if (name != Database || variables[PackagedDatabase] as string is not { Length: > 0 } packaged)
            return value;
        return value is null || value == packaged
            ? packaged
            : throw new ConfigurationException(
                $"{Database} and {PackagedDatabase} name two databases: set one of them, or both to the same");
    }

    /// <summary>Those that are set and change nothing, each with what to set instead.</summary>
    public static IReadOnlyList<string> Ignored(IDictionary variables) =>
    [
        .. Meaningless.Where(v => Value(variables, v.Key) is not null)
            .Select(v => $"{v.Key} is set and changes nothing here: {v.Value}"),
    ];
}
