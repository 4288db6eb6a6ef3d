using System.Collections;
using System.Reflection;
using System.Text;
using Akka.Configuration;
using Akka.Configuration.Hocon;
using Runtara.Runner;

namespace Runtara.Daemon.Configuration;

/// <summary>
/// The effective configuration (D9): defaults, then the HOCON file, then environment variables, then
/// <c>--set key=value</c>. An unknown key below <c>runtara</c> is an error, because a misspelt limit is no limit.
/// </summary>
internal sealed class DaemonConfiguration
{
    private DaemonConfiguration(DaemonOptions options, Config akka, IReadOnlyList<string> warnings) =>
        (Options, Akka, Warnings) = (options, akka, warnings);

    /// <summary>What <c>runtara { }</c> says.</summary>
    public DaemonOptions Options { get; }

    /// <summary>Everything else, with our defaults for Akka below it.</summary>
    public Config Akka { get; }

    /// <summary>What is allowed and will disappoint, each with what to do: variables that change nothing here, and a
    /// network mode that cannot work for root.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>
    /// Reads it all. Throws <see cref="ConfigurationException"/> with every problem found, each naming key and rule.
    /// </summary>
    /// <param name="file">The HOCON file; null means none.</param>
    /// <param name="sets">What <c>--set</c> says.</param>
    /// <param name="variables">The environment.</param>
    /// <param name="isRoot">Whether the daemon will run as root, which not every network mode can.</param>
    public static DaemonConfiguration Load(
        string? file, IReadOnlyList<string> sets, IDictionary variables, bool isRoot = false)
    {
        var ofFile = file is null ? Config.Empty : Parse(ReadFile(file), file);
        var given = Parse(FromSets(sets), "--set")
            .WithFallback(Parse(FromVariables(variables, ofFile), "environment variables"))
            .WithFallback(ofFile);
        var runtara = Section(given);
        var problems = UnknownKeys(runtara).ToList();
        var options = new DaemonOptions();
        foreach (var setting in SettingTable.All)
        {
            try
            {
                setting.Apply(runtara, options);
            }
            catch (ConfigurationException e)
            {
                problems.Add(e.Message);
            }
        }
        options.FaultsAllowed = variables[DaemonOptions.FaultsVariable] is "yes";
        problems.AddRange(OptionRules.Check(options));
        if (problems.Count > 0)
            throw new ConfigurationException(string.Join(Environment.NewLine, problems));
        return new DaemonConfiguration(
            options, given.WithFallback(Parse(Resource("akka.conf"), "akka.conf")),
            [.. VariablesOfTheReference.Ignored(variables), .. OfNetwork(options.Runner.NetworkMode, isRoot)]);
    }

    /// <summary>The effective configuration of <c>runtara { }</c> as HOCON, each key with its meaning.</summary>
    public string Show()
    {
        var text = new StringBuilder("runtara {\n");
        foreach (var setting in SettingTable.All)
        {
            var variable = setting.Variable is null ? "" : $" [{setting.Variable}]";
            text.Append($"  # {setting.Help}{variable}\n  {setting.Key} = {setting.Show(Options)}\n");
        }
        return text.Append("}\n").ToString();
    }

    private static Config Parse(string hocon, string source)
    {
        if (HoconCheck.Unbalanced(hocon) is { } unbalanced)
            throw new ConfigurationException($"{source}: {unbalanced}");
        Config? parsed = null;
        var problem = "reading it does not end; is a brace, a bracket or a quotation mark not closed?";
        // On a thread of its own: the parser loops for ever over some of what is not HOCON.
        var parsing = new Thread(() =>
        {
            try
            {
                parsed = ConfigurationFactory.ParseString(hocon);
            }
            // And throws whatever it stumbles over.
            catch (Exception e)
            {
                problem = e.Message;
            }
        })
        { IsBackground = true };
        parsing.Start();
        parsing.Join(ParseWithin);
        if (parsed is null)
            throw new ConfigurationException($"{source}: {problem}");
        return HoconCheck.Cycle(parsed.Root) is { } path
            ? throw new ConfigurationException($"{source}: the reference ${{{path}}} leads back to itself")
            : parsed;
    }

    private static readonly TimeSpan ParseWithin = TimeSpan.FromSeconds(5);

    private static Config Section(Config given)
    {
        if (!given.HasPath("runtara"))
            return Config.Empty;
        var section = given.GetConfig("runtara");
        return section.Root.IsObject()
            ? section
            : throw new ConfigurationException("runtara: must be a section, runtara { … }");
    }

    private static string ReadFile(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException($"--config: {e.Message}");
        }
    }

    private static string FromSets(IReadOnlyList<string> sets)
    {
        var hocon = new StringBuilder();
        foreach (var set in sets)
        {
            var split = set.IndexOf('=', StringComparison.Ordinal);
            if (split <= 0)
                throw new ConfigurationException($"--set: '{set}' is not key=value");
            var key = set[..split].Trim();
            var setting = SettingTable.All.FirstOrDefault(s => "runtara." + s.Key == key || s.Key == key);
            var value = set[(split + 1)..].Trim();
            var path = setting is null ? key : "runtara." + setting.Key;
            if (setting is null && !key.StartsWith("akka.", StringComparison.Ordinal)
                && !key.StartsWith("runtara.", StringComparison.Ordinal))
                throw new ConfigurationException($"--set: unknown key '{key}'; runtarad --check prints all keys");
            // An IPv6 address begins like a list.
            var isList = (setting is null or Setting<IReadOnlyList<string>>)
                && value.StartsWith('[') && value.EndsWith(']');
            hocon.Append($"{path} = {(isList ? value : SettingTypes.Quote(value))}\n");
        }
        return hocon.ToString();
    }

    private static IEnumerable<string> OfNetwork(NetworkMode mode, bool isRoot)
    {
        if (NetworkModes.Problem(mode, isRoot) is { } problem)
            yield return problem;
    }

    private static string FromVariables(IDictionary variables, Config file)
    {
        var hocon = new StringBuilder();
        foreach (var setting in SettingTable.All)
        {
            if (setting.Variable is not null && VariablesOfTheReference.Value(variables, setting.Variable) is { } text)
                hocon.Append($"runtara.{setting.Key} = {setting.FromVariable(text, file)}\n");
        }
        return hocon.ToString();
    }

    private static IEnumerable<string> UnknownKeys(Config runtara) =>
        from key in Leaves(runtara.Root, "")
        where SettingTable.All.All(s => s.Key != key)
        let near = SettingTable.All.Select(s => s.Key).MinBy(known => Distance(known, key))
        select $"runtara.{key}: unknown key; did you mean runtara.{near}?";

    private static IEnumerable<string> Leaves(HoconValue? value, string path)
    {
        if (value is null || value.IsEmpty)
            return [];
        return value.IsObject()
            ? value.GetObject().Items.SelectMany(i => Leaves(i.Value, path.Length == 0 ? i.Key : $"{path}.{i.Key}"))
            : [path];
    }

    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j],
                    Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }
        return row[b.Length];
    }

    private static string Resource(string name)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
