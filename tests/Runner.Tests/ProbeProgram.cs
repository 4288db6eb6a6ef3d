using System.Security.Cryptography;

namespace Runtara.Runner.Tests;

/// <summary>The static program of <c>Programs/probe.c</c>, compiled once for each test run.</summary>
internal static class ProbeProgram
{
    private static readonly Lazy<byte[]> Compiled = new(() => StaticProgram.Compile("probe"));

    internal static byte[] Bytes => Compiled.Value;

    internal static string Sha256 => Hash(Bytes);

    internal static string Hash(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}

/// <summary>The static program of <c>Programs/agent.c</c>, compiled once for each test run.</summary>
internal static class AgentProgram
{
    private static readonly Lazy<byte[]> Compiled = new(() => StaticProgram.Compile("agent"));

    internal static byte[] Bytes => Compiled.Value;

    internal static string Sha256 => ProbeProgram.Hash(Bytes);
}
