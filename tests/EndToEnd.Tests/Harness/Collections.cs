namespace Runtara.EndToEnd.Tests.Harness;

/// <summary>Tests that keep the machine busy, one at a time.</summary>
[CollectionDefinition(Name)]
public sealed class DaemonCollection : ICollectionFixture<WorkflowImage>, ICollectionFixture<Databases>
{
    /// <summary>The collection's name.</summary>
    public const string Name = "daemon";
}

/// <summary>Tests that wait most of the time, one at a time beside those of <see cref="DaemonCollection"/>.</summary>
[CollectionDefinition(Name)]
public sealed class PatientCollection : ICollectionFixture<WorkflowImage>, ICollectionFixture<Databases>
{
    /// <summary>The collection's name.</summary>
    public const string Name = "patient";
}

/// <summary>Tests that measure, with nothing beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class MeasuringCollection : ICollectionFixture<WorkflowImage>, ICollectionFixture<Databases>
{
    /// <summary>The collection's name.</summary>
    public const string Name = "measuring";
}
