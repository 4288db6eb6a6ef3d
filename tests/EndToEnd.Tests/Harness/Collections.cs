// Three collections run side by side; they take about as long as each other. Only one of them keeps the cores busy.
[assembly: CollectionBehavior(MaxParallelThreads = 3)]

namespace Runtara.EndToEnd.Tests.Harness;

/// <summary>Tests that keep the machine busy, one at a time.</summary>
[CollectionDefinition(Name)]
public sealed class DaemonCollection : ICollectionFixture<WorkflowImage>, ICollectionFixture<Databases>
{
    /// <summary>The collection's name.</summary>
    public const string Name = "daemon";
}

/// <summary>Tests that wait most of the time, one at a time.</summary>
[CollectionDefinition(Name)]
public sealed class PatientCollection : ICollectionFixture<WorkflowImage>, ICollectionFixture<Databases>
{
    /// <summary>The collection's name.</summary>
    public const string Name = "patient";
}

/// <summary>
/// Tests of what is taken away (a disk, a database, descriptors, the daemon, what ended long ago): they wait too, one
/// at a time.
/// </summary>
[CollectionDefinition(Name)]
public sealed class OutageCollection : ICollectionFixture<WorkflowImage>, ICollectionFixture<Databases>
{
    /// <summary>The collection's name.</summary>
    public const string Name = "outage";
}

/// <summary>Tests that measure, with nothing beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class MeasuringCollection : ICollectionFixture<WorkflowImage>, ICollectionFixture<Databases>
{
    /// <summary>The collection's name.</summary>
    public const string Name = "measuring";
}
